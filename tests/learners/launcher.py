"""Names the machines to the program that it starts: the first are servers, the others workers, each at port 2222."""

import os
import subprocess
import sys

prefix, number = os.environ["LEARNER_NAME_PREFIX"], int(os.environ["LEARNER_ID"])
servers = int(os.environ.get("PS_HOSTS_COUNT", "1"))
hosts = [f"{prefix}-{index}.{prefix}:2222" for index in range(int(os.environ["NUM_LEARNERS"]))]
serves = number <= servers
words = {
    "job_name": "ps" if serves else "worker",
    "ps_hosts": ",".join(hosts[:servers]),
    "worker_hosts": ",".join(hosts[servers:]),
    "task_index": number - 1 - (0 if serves else servers),
}
sys.exit(subprocess.call([*sys.argv[1:], *(f"--{name}={value}" for name, value in words.items())]))
