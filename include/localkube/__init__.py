"""The local cluster: a one-node Kubernetes API whose containers are processes of this machine."""
