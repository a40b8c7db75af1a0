#!/bin/sh
# Makes the virtual environment FOLDER from requirements.lock, every file checked against its hash.
# Usage: environment.sh FOLDER   (PYTHON names the interpreter; else the first that is new enough)
set -eu
folder=$1

say() { printf '%s\n' "$@" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    say "Gatepost needs Python 3.11 or newer. Found: $("${PYTHON:-python3}" --version 2>&1 | tail -n 1)" \
        "Install one (Debian, Ubuntu: apt-get install python3 python3-venv; Fedora: dnf install python3.12)" \
        "or name the one to use: make PYTHON=/path/to/python3.12 ..."
    return 1
}

require_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    say "$1 cannot make virtual environments: its venv or ensurepip module is missing." \
        "Install it (Debian, Ubuntu: apt-get install python3-venv) and start the command again."
    return 1
}

works() { "$folder/bin/python" -m pip --version >/dev/null 2>&1; }

install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

python=$(find_python)
if ! { works && is_new_enough "$folder/bin/python"; }; then
    require_venv "$python"
    say "Making the environment in $folder with $("$python" --version) (once; a minute or two)."
    "$python" -m venv --clear "$folder"
fi
if ! install --require-hashes --requirement requirements.lock; then
    say "The packages in requirements.lock could not be installed; the lines above say why." \
        "Mostly the package index cannot be reached: check the network, or PIP_INDEX_URL for an index of your own."
    exit 1
fi
install --no-deps --no-build-isolation --editable .
