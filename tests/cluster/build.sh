#!/bin/sh
# Builds the test cluster's binary once for each content of its sources and
# prints the path. The first build on a machine takes some 17 minutes of CPU
# time; when the binary exists, nothing is done.
#
# Environment: XDG_CACHE_HOME (default: ~/.cache) holds the binary; Go's own
# variables (GOPROXY, GOCACHE, GOMODCACHE, GOFLAGS) work as always.
set -eu
cd "$(dirname "$0")"

sources="build.sh go.mod go.sum $(echo *.go) $(echo stages/*.yaml)"
# shellcheck disable=SC2086 # a list of names without blanks
key=$(sha256sum $sources | sha256sum | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/sluice
binary=$folder/testcluster-$key

if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "build.sh: the test cluster is built by Go $(sed -n 's/^go //p' go.mod) or later, and \`go\` is not in PATH" >&2
    exit 1
fi

release=v1.36.3
minor=36
values="-X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    values="$values -X $package.gitVersion=$release -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    values="$values -X $package.gitCommit=unknown -X $package.gitTreeState=clean"
    values="$values -X $package.buildDate=1970-01-01T00:00:00Z"
done

echo "build.sh: building the test cluster; seconds with Go's cache warm, 17 CPU-minutes cold" >&2
mkdir -p "$folder"
# Two builds at once end with the same bytes under the same name.
partial=$binary.$$
trap 'rm -f "$partial"' EXIT
if ! CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -tags=grpcnotrace \
    -ldflags="-s -w $values" -o "$partial" . >&2; then
    echo "build.sh: \`go build\` failed as printed above" >&2
    exit 1
fi
mv "$partial" "$binary"

# Binaries of earlier sources are a hundred megabytes each.
find "$folder" -maxdepth 1 -name 'testcluster-*' ! -path "$binary" -mtime +7 -delete
echo "$binary"
