# k3s with NVIDIA's container runtime beside it, for the profile `gpu`; k3s finds the runtime by itself at its start.
#
#   docker build -t trainyard-k3s-gpu:v1.34.1-k3s1 -f deploy/compose/k3s-gpu.Dockerfile deploy/compose
FROM rancher/k3s:v1.34.1-k3s1 AS k3s

FROM nvidia/cuda:12.8.1-base-ubuntu24.04
# The base image's own package source has NVIDIA's toolkit.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends iptables nvidia-container-toolkit \
    && rm -rf /var/lib/apt/lists/*
COPY --from=k3s /bin /opt/k3s/bin
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/k3s/bin:/opt/k3s/bin/aux \
    CRI_CONFIG_FILE=/var/lib/rancher/k3s/agent/etc/crictl.yaml
VOLUME ["/var/lib/kubelet", "/var/lib/rancher/k3s", "/var/lib/cni", "/var/log"]
ENTRYPOINT ["/opt/k3s/bin/k3s"]
CMD ["server"]
