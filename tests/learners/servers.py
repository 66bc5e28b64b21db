"""Learns on workers from a server of parameters, as TensorFlow's programs of 2018 did, over plain sockets.

The server keeps the sum of what workers bring it, and never ends.
"""

import json
import os
import socket
import sys
import time

given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
(server,) = given["ps_hosts"].split(",")
workers, index = given["worker_hosts"].split(","), int(given["task_index"])
host, port = server.rsplit(":", 1)
# What TensorFlow's own resolver would read names the same machines.
cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
assert cluster == {"worker": [server, *workers]}, cluster


def serve():
    listening, total = socket.create_server((host, int(port))), 0
    while True:
        asking, _ = listening.accept()
        total += int(asking.recv(20))
        asking.sendall(b"%d" % total)


def exchange(number):
    while True:
        try:
            connection = socket.create_connection((host, int(port)), 60)
            break
        except OSError:
            time.sleep(0.05)
    connection.sendall(b"%d" % number)
    return int(connection.recv(20))


if given["job_name"] == "ps":
    serve()
exchange(index + 1)
while (total := exchange(0)) < sum(range(1, len(workers) + 1)):
    time.sleep(0.05)
print("worker", index, "of", len(workers), "sum", total, flush=True)
