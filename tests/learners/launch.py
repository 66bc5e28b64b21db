"""A stand-in for torchrun: starts a program as often as it says, with the ranks that torchrun would give them."""

import os
import subprocess
import sys

own = {name[4:]: value for name, value in os.environ.items() if name.startswith("PET_")}
first, each = int(own["NODE_RANK"]) * int(own["NPROC_PER_NODE"]), int(own["NPROC_PER_NODE"])
ranks = {
    "WORLD_SIZE": str(int(own["NNODES"]) * each),
    "MASTER_ADDR": own["MASTER_ADDR"],
    "MASTER_PORT": own["MASTER_PORT"],
}
started = [
    subprocess.Popen([sys.executable, *sys.argv[1:]], env={**os.environ, **ranks, "RANK": str(first + number)})
    for number in range(each)
]
sys.exit(max(one.wait() for one in started))
