#!/bin/sh
# Unpacks Debian's Prometheus into ~/.cache/sluice/prometheus, without
# installing it: the package would start a service. Needs no privileges.
# Prints the path of the server; when it is there already, nothing is done.
set -eu

folder=${XDG_CACHE_HOME:-$HOME/.cache}/sluice/prometheus
server=$folder/usr/bin/prometheus

if [ ! -x "$server" ]; then
    for tool in apt-get dpkg-deb; do
        if ! command -v "$tool" >/dev/null; then
            echo "install-prometheus.sh: \`$tool\` is not in PATH; put any Prometheus 2.42 or later into PATH instead" >&2
            exit 1
        fi
    done
    mkdir -p "$folder"
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    # A machine that has never updated its lists knows no packages.
    if ! (cd "$download" && apt-get download -q prometheus >&2) &&
        ! (apt-get update -q >&2 && cd "$download" && apt-get download -q prometheus >&2); then
        echo "install-prometheus.sh: the download failed as printed above" >&2
        exit 1
    fi
    dpkg-deb -x "$download"/prometheus_*.deb "$folder"
fi
"$server" --version >/dev/null 2>&1 || {
    echo "install-prometheus.sh: $server does not run" >&2
    exit 1
}
echo "$server"
