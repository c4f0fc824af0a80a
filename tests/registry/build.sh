#!/bin/sh
# Builds the registry once for each content of its sources and prints the path.
# When the binary exists, nothing is done.
#
# Environment: XDG_CACHE_HOME (default: ~/.cache) holds the binary; Go's own
# variables (GOPROXY, GOCACHE, GOMODCACHE, GOFLAGS) work as always.
set -eu
cd "$(dirname "$0")"

sources="build.sh go.mod go.sum main.go"
# shellcheck disable=SC2086 # a list of names without blanks
key=$(sha256sum $sources | sha256sum | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/sluice
binary=$folder/registry-$key

if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "build.sh: the registry is built by Go $(sed -n 's/^go //p' go.mod) or later, and \`go\` is not in PATH" >&2
    exit 1
fi

echo "build.sh: building the registry; a minute with nothing cached" >&2
mkdir -p "$folder"
# Two builds at once end with the same bytes under the same name.
partial=$binary.$$
trap 'rm -f "$partial"' EXIT
if ! CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags="-s -w" \
    -o "$partial" . >&2; then
    echo "build.sh: \`go build\` failed as printed above" >&2
    exit 1
fi
mv "$partial" "$binary"

# Binaries of earlier sources are of no use.
find "$folder" -maxdepth 1 -name 'registry-*' ! -path "$binary" -mtime +7 -delete
echo "$binary"
