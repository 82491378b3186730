#!/usr/bin/env bash
# Installs the wheels of a folder into empty environments, as a user would, and scans a folder of pictures there.
set -euo pipefail
wheels=$(realpath "${1:?the folder of the wheels}")
work=$(mktemp -d)
up=
end() {
	if [ -n "$up" ]; then kill "$up" 2>/dev/null || true; wait "$up" || true; fi
	rm -rf "$work"
}
trap end EXIT

echo "The plain package: the client and the command line."
python3 -m venv "$work/plain"
"$work/plain/bin/pip" install --quiet --disable-pip-version-check --find-links "$wheels" callsheet
cd "$work" # away from the checkout
plain/bin/callsheet --help >/dev/null
if plain/bin/callsheet up 2>said; then echo "callsheet up ran without its parts" >&2; exit 1; fi
grep -F "pip install 'callsheet[local]'" said

echo "All on one machine: callsheet[local]."
python3 -m venv whole
whole/bin/pip install --quiet --disable-pip-version-check --find-links "$wheels" 'callsheet[local]'
mkdir media
whole/bin/python -c 'from PIL import Image
for n in range(5): Image.new("RGB", (320, 200), (40 * n, 90, 120)).save(f"media/{n}.jpg")'
whole/bin/callsheet up --media media --data data --port 0 >up.log 2>&1 &
up=$!
for _ in $(seq 300); do
	address=$(sed -n 's/^Callsheet is ready at //p' up.log)
	[ -z "$address" ] || break
	kill -0 "$up" || { cat up.log >&2; exit 1; }
	sleep 1
done
[ -n "$address" ] || { cat up.log >&2; exit 1; }
whole/bin/callsheet --version
whole/bin/callsheet scan --help >/dev/null
whole/bin/callsheet jobs submit scan --param root=library --wait --data data
items=$(whole/bin/callsheet library list --data data --json | wc -l)
[ "$items" = 5 ] || { echo "$items items instead of 5" >&2; exit 1; }
whole/bin/python -c 'import sys, urllib.request
page = urllib.request.urlopen(sys.argv[1], timeout=60).read()
assert b"/assets/" in page, page' "$address"
kill -TERM "$up"
wait "$up" && code=0 || code=$?
up=
echo "callsheet up ended with $code; $items items; the page is there."
[ "$code" = 0 ]
