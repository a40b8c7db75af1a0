#!/bin/sh
# Makes sure that the machine has a Chromium for the browser tests, by apt-get where that is possible.
set -eu

has_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

has_chromium && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
fi
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing Chromium for the browser tests (once)." >&2
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq >/dev/null
    $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
if ! has_chromium; then
    echo "The browser tests need Chromium or Chrome, and none is on the PATH." >&2
    echo "Install one (Debian: apt-get install chromium; Fedora: dnf install chromium) and start again." >&2
    exit 1
fi
