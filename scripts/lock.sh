#!/bin/sh
# Writes requirements/*.txt from pyproject.toml: one lock per image, one for building the wheel, one for development.
# Hashes, but no addresses: the index is the installing machine's own choice.
# With --check nothing is written: exits 1 when a lock no longer satisfies pyproject.toml.
set -eu
check=${1:-}
workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT

for name in operator runtime build dev; do
    if [ "$name" = dev ]; then extras=--all-extras; else extras="--extra $name"; fi
    # The present lock is the starting point, so --check does not turn red because a new version was published.
    if [ -f "requirements/$name.txt" ] && [ -z "${UPGRADE:-}" ]; then cp "requirements/$name.txt" "$workdir/$name.txt"; fi
    # shellcheck disable=SC2086  # $extras is one or two words
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links $extras pyproject.toml --output-file "$workdir/$name.txt"
    if [ -n "$check" ]; then
        cmp -s "$workdir/$name.txt" "requirements/$name.txt" || {
            echo "modelyard: requirements/$name.txt does not agree with pyproject.toml. Run: make lock" >&2
            exit 1
        }
    else
        cp "$workdir/$name.txt" "requirements/$name.txt"
    fi
done
