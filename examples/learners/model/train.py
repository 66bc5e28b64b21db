"""Fit a line on several learners: each has a part of the points, and the first one averages what they find.

It needs nothing but sockets, in the shape of TensorFlow's launchers of 2018: every learner listens at
`<LEARNER_NAME_PREFIX>-<i>.<LEARNER_NAME_PREFIX>` on the same port.
"""

import argparse
import json
import os
import random
import socket
import time

ROUNDS, RATE = 60, 0.5


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    port = options.parse_args().port
    rank, count = int(os.environ["LEARNER_ID"]) - 1, int(os.environ["NUM_LEARNERS"])
    prefix = os.environ["LEARNER_NAME_PREFIX"]
    hosts = [f"{prefix}-{i}.{prefix}" for i in range(count)]
    with socket.create_server((hosts[rank], port)) as server:
        print(f"learner {rank + 1} of {count} listens at {hosts[rank]}:{port}", flush=True)
        peers = join(server, hosts, rank, port)
        line = train(peers, rank, points(rank))
    print(f"learner {rank + 1} has found y = {line[0]:.2f} x + {line[1]:.2f}", flush=True)
    if rank == 0:
        model = os.path.join(os.environ["RESULT_DIR"], "model")
        os.makedirs(model, exist_ok=True)
        with open(os.path.join(model, "line.json"), "w") as file:
            json.dump({"slope": round(line[0], 2), "offset": round(line[1], 2), "learners": count}, file)


def points(rank):
    """Return this learner's part of the points, which lie on y = 3 x + 1."""
    chosen = random.Random(rank)
    return [(x, 3 * x + 1) for x in (chosen.uniform(-1, 1) for _ in range(200))]


def join(server, hosts, rank, port):
    """Return the streams between the first learner and the others: all of them for it, its own for each other one."""
    connections = [server.accept()[0] for _ in hosts[1:]] if rank == 0 else [connect(hosts[0], port)]
    return [connection.makefile("rw") for connection in connections]


def connect(host, port):
    while True:
        try:
            return socket.create_connection((host, port), 10)
        except OSError:
            time.sleep(0.1)


def train(peers, rank, data):
    line = [0.0, 0.0]
    for round_ in range(ROUNDS):
        own = gradient(line, data)
        if rank == 0:
            found = [own, *(json.loads(peer.readline()) for peer in peers)]
            mean = [sum(each) / len(found) for each in zip(*found, strict=True)]
            line = [value - RATE * step for value, step in zip(line, mean, strict=True)]
            for peer in peers:
                tell(peer, line)
        else:
            tell(peers[0], own)
            line = json.loads(peers[0].readline())
        with open(os.path.join(os.environ["LOG_DIR"], "metrics.jsonl"), "a") as file:
            file.write(json.dumps({"step": round_, "loss": loss(line, data)}) + "\n")
    return line


def tell(peer, values):
    peer.write(json.dumps(values) + "\n")
    peer.flush()


def gradient(line, data):
    errors = [(line[0] * x + line[1] - y, x) for x, y in data]
    return [sum(2 * error * x for error, x in errors) / len(data), sum(2 * error for error, _ in errors) / len(data)]


def loss(line, data):
    return sum((line[0] * x + line[1] - y) ** 2 for x, y in data) / len(data)


if __name__ == "__main__":
    main()
