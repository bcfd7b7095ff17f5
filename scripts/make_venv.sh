#!/bin/sh
# Makes the development environment from the hash-locked requirements; called by the Makefile when they changed.
# Says what is missing and the command that fixes it.
set -eu
fail() { printf 'modelyard: %s\n' "$1" >&2; exit 1; }

command -v "$PYTHON" >/dev/null 2>&1 || fail "no '$PYTHON' on PATH. Install Python 3.11 or later, e.g.: apt-get install python3 python3-venv"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$PYTHON" --version) is too old: Python 3.11 or later is needed. Point to one with: make PYTHON=/path/to/python3.11 …"
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || fail "Python has no venv module. Run: sudo apt-get install python3-venv"
    echo "  installing python3-venv (Debian package)"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
fi

printf '  making the Python environment (%s); about a minute the first time\n' "$VENV"
start=$(date +%s)
"$PYTHON" -m venv --clear "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt ||
    fail "the locked packages could not be installed (see above). Check the network and pip's index (pip config list), then run make again."
"$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
printf '  done in %s s\n' "$(($(date +%s) - start))"
