"""A one-node Kubernetes API on this machine, whose containers are processes: see README.md."""
