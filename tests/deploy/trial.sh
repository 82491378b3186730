#!/usr/bin/env bash
# Builds the images, has the Immich controller steer a stand-in for a server, brings up the compose file, scans a
# folder through REST, kills everything, brings it up again and finds what was there; then once more with all
# profiles. Then it plays the Deployments of deploy/k8s and scans a folder through them.
# Everything lies below FOLDER, by default .cache/containers. What cannot be had is said, and is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${FOLDER:-$PWD/.cache/containers}

missing=$(for tool in podman buildah runc netavark debootstrap; do
	[ -n "$(PATH=$PATH:/usr/lib/podman:/usr/sbin command -v $tool)" ] || echo "$tool"
done)
if [ "$(id -u)" != 0 ] || [ -n "$missing" ]; then
	echo "NOT TRIED: needs root and" $missing "of Debian: apt-get install --no-install-recommends" \
		"podman buildah runc netavark aardvark-dns catatonit debootstrap iptables" >&2
	exit 1
fi

mkdir -p "$folder"
cat >"$folder/containers.conf" <<'END'
[containers]
default_ulimits=["nofile=4096:4096","nproc=4096:4096"]
[network]
network_backend="netavark"
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
END
cat >"$folder/storage.conf" <<END
[storage]
driver="overlay"
graphroot="$folder/storage"
runroot="$folder/run"
END
export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf

step() {
	echo "--- $* ($(date +%T))"
}

step base images
tests/deploy/bases.sh docker.io/library/python:3.13-slim-trixie docker.io/library/postgres:18-trixie \
	docker.io/chrislusf/seaweedfs:4.40 docker.io/prom/prometheus:v3.13.0

for target in scheduler gateway cpu-worker gpu-worker immich-agent; do
	step "build $target"
	buildah bud --layers --format docker --isolation chroot --network host --pull-never --quiet \
		--file deploy/docker/Dockerfile --target "$target" --tag "callsheet/$target:latest" . >/dev/null
	podman tag "callsheet/$target:latest" "callsheet/$target:0.1.0"
	podman image inspect --format '{{.Size}} bytes, user {{.Config.User}}' "callsheet/$target:latest"
done

step build gpu-worker for models on a card
buildah bud --layers --format docker --isolation chroot --network host --pull-never --quiet \
	--file deploy/docker/Dockerfile --target gpu-worker --build-arg GPU_LOCK=gpu_worker_cuda \
	--tag callsheet/gpu-worker:cuda . >/dev/null
podman image inspect --format '{{.Size}} bytes' callsheet/gpu-worker:cuda
# What computes on cards finds every library but the driver's, which the host would lend.
podman run --rm --network none callsheet/gpu-worker:cuda python3 -c '
import ctypes, onnxruntime, pathlib
onnxruntime.preload_dlls()
provider = pathlib.Path(onnxruntime.__file__).parent / "capi/libonnxruntime_providers_cuda.so"
try:
    ctypes.CDLL(str(provider))
except OSError as error:
    assert str(error).startswith("libcuda.so.1:"), error
    print(f"CUDA {onnxruntime.cuda_version}, {error}")'

step immich
.venv/bin/python -m tests.deploy.immich_trial callsheet/immich-agent:latest

step compose
tests/deploy/compose_trial.sh "$folder"

step profiles
.venv/bin/python -m tests.deploy.profiles_trial "$folder"

step kube play
tests/deploy/kube_trial.sh
