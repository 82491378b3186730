#!/usr/bin/env bash
# compose_trial.sh FOLDER: the compose file by podman-compose, from nothing to nothing.
set -euo pipefail
folder=$1
tools=$folder/tools
[ -x "$tools/bin/podman-compose" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet podman-compose==1.6.0; }
export MEDIA=$folder/media CALLSHEET_PORT=${CALLSHEET_PORT:-18080}
project=callsheet-trial
mkdir -p "$MEDIA"
chmod 0755 "$MEDIA"
.venv/bin/python -c 'import sys; from PIL import Image
for n in range(5): Image.new("RGB", (640, 480), (n * 40, 90, 160)).save(f"{sys.argv[1]}/picture-{n}.jpg")' "$MEDIA"
chmod 0644 "$MEDIA"/*

compose() {
	"$tools/bin/podman-compose" --project-name $project --in-pod false "$@"
}

# until_true WHAT COMMAND...: until it succeeds, 300 s at most.
until_true() {
	local what=$1 end=$((SECONDS + 300))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not within 300 s: $what" >&2 && "$@" >&2; compose logs >&2 || true; exit 1; }
		sleep 1
	done
	echo "$what after $SECONDS s"
}

get() {
	curl --silent --show-error --fail --max-time 10 --header "Authorization: Bearer $token" "http://127.0.0.1:$CALLSHEET_PORT$1"
}

items() {
	get '/api/media/items?limit=100' | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["data"]) != 5)'
}

up() {
	compose up --detach --no-build 2>&1 | tail -1
	until_true 'the gateway is ready' curl --silent --fail --max-time 5 "http://127.0.0.1:$CALLSHEET_PORT/readyz"
	token=$(podman exec ${project}_gateway_1 cat /etc/callsheet/admin-token)
}

# jobs [COMMAND]: the command line's list, asked from the gateway's container, after a command of its shell.
jobs() {
	podman exec ${project}_gateway_1 sh -c "${1:-:}; callsheet jobs list --scheduler scheduler:7420" 2>&1
}

trap 'compose down --volumes >/dev/null 2>&1' EXIT
up
curl --silent --show-error --fail --header "Authorization: Bearer $token" --header 'Content-Type: application/json' \
	--data '{"type": "scan", "params": {"root": "library"}}' "http://127.0.0.1:$CALLSHEET_PORT/api/media/jobs" >/dev/null
until_true 'five items are in the library' items
jobs | grep --quiet scan
if said=$(jobs 'unset CALLSHEET_TLS_DIR'); then echo 'a connection without certificate was taken' >&2 && exit 1; fi
echo "without certificate: $said"
echo 'memory at rest:' && podman stats --no-stream --format '{{.Name}} {{.MemUsage}}'
first=$token
podman ps --quiet --filter "name=${project}_" | xargs podman kill >/dev/null
compose down >/dev/null 2>&1
up
[ "$token" = "$first" ]
until_true 'five items are still in the library' items
