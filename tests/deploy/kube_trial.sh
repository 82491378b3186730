#!/usr/bin/env bash
# kube_trial.sh: plays the Deployments of deploy/k8s/base by podman, scans a folder through REST, and takes all down.
# playable.py says what differs from a cluster. PostgreSQL, which a cluster has from elsewhere, stands beside.
# Called by trial.sh, which makes images and podman's settings.
set -euo pipefail
network=callsheet-kube
work=$(mktemp -d)
services='scheduler gateway cpu-worker'

down() {
	local name
	for name in $services; do podman kube down "$work/$name.yaml" >/dev/null 2>&1 || true; done
	podman rm --force --ignore $network-postgres >/dev/null 2>&1 || true
	podman volume ls --quiet | grep -E '^(media|data|(scheduler|gateway|cpu-worker)-(secrets|tmp|state|media|data))$' |
		xargs --no-run-if-empty podman volume rm --force >/dev/null 2>&1 || true
	podman network rm --force $network >/dev/null 2>&1 || true
}

# until_true WHAT COMMAND...: until it succeeds, 300 s at most.
until_true() {
	local what=$1 end=$((SECONDS + 300))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not within 300 s: $what" >&2 && "$@" >&2; exit 1; }
		sleep 1
	done
	echo "$what after $SECONDS s"
}

# within NAME WORDS...: runs words in the container of a Deployment.
within() {
	local name=$1
	shift
	podman exec "$name-pod-0-$name" "$@"
}

ready() {
	within "$1" python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:7430/readyz", timeout=4)'
}

# volume NAME: makes it and says where it lies.
volume() {
	podman volume exists "$1" || podman volume create "$1" >/dev/null
	podman volume inspect --format '{{.Mountpoint}}' "$1"
}

rest() {
	curl --silent --show-error --fail --max-time 10 --header "Authorization: Bearer $(cat "$work/secret/admin-token")" \
		--header 'Content-Type: application/json' "${@:2}" "http://$gateway:8080$1"
}

items() {
	rest '/api/media/items?limit=100' | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["data"]) != 5)'
}

end() {
	local code=$?
	if [ $code != 0 ]; then for name in $services; do podman logs --tail 20 "$name-pod-0-$name" >&2 || true; done; fi
	down
	rm -rf "$work"
}

.venv/bin/python -m tests.deploy.playable "$work"
down
trap end EXIT
mkdir "$work/secret"
for key in admin-token join-token session-secret password; do
	od -A n -N 32 -t x1 /dev/urandom | tr -d ' \n' >"$work/secret/$key"
done
printf 'postgresql://callsheet:%s@postgres:5432/callsheet' "$(cat "$work/secret/password")" >"$work/secret/database-url"

podman network create $network >/dev/null
podman run --detach --name $network-postgres --network $network:alias=postgres --env POSTGRES_USER=callsheet \
	--env POSTGRES_DB=callsheet --env POSTGRES_PASSWORD_FILE=/run/secret/password --env POSTGRES_INITDB_ARGS= \
	--volume "$work/secret:/run/secret:ro" docker.io/library/postgres:18-trixie >/dev/null
podman kube play "$work/storage.yaml" >/dev/null
media=$(volume media)
.venv/bin/python -c 'import sys; from PIL import Image
for n in range(5): Image.new("RGB", (640, 480), (n * 40, 90, 160)).save(f"{sys.argv[1]}/picture-{n}.jpg")' "$media"
chmod -R a+rX "$media"

for name in $services; do
	place=$(volume "$name-secrets")
	while read -r key path; do
		install -o 0 -g 10001 -m 0440 "$work/secret/$key" "$place/$path"
	done <"$work/$name.items"
	podman kube play --network "$network:alias=$name" "$work/$name.yaml" >/dev/null
done
for name in $services; do until_true "$name is ready" ready "$name"; done
gateway=$(podman inspect --format "{{(index .NetworkSettings.Networks \"$network\").IPAddress}}" \
	"$(podman pod inspect --format '{{.InfraContainerID}}' gateway-pod-0)")
rest /api/media/jobs --data '{"type": "scan", "params": {"root": "library"}}' >/dev/null
until_true 'five items are in the library' items
podman stats --no-stream --format '{{.Name}} {{.MemUsage}}' | grep -v infra
