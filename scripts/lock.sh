#!/bin/sh
# Writes requirements/*.txt from pyproject.toml: one lock per image and image flavour, one for building the wheel, one for
# development (which has none of the flavours' frameworks: their tests have environments of their own).
# Hashes, but no addresses: the index is the installing machine's own choice.
# With --check nothing is written: exits 1 when a lock no longer satisfies pyproject.toml.
set -eu
check=${1:-}
workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT

for name in operator runtime runtime-catboost runtime-keras runtime-mlflow runtime-torch build dev; do
    case $name in
        dev) extras="--extra operator --extra runtime --extra build --extra dev" ;;
        # A flavour is the default image and something on top of it, so the versions they share are the same.
        runtime-*) extras="--extra runtime --extra $name --constraint $workdir/runtime.txt" ;;
        *) extras="--extra $name" ;;
    esac
    # The present lock is the starting point, so --check does not turn red because a new version was published.
    if [ -f "requirements/$name.txt" ] && [ -z "${UPGRADE:-}" ]; then cp "requirements/$name.txt" "$workdir/$name.txt"; fi
    # With their extras: pip takes "coverage[toml]" for another requirement than "coverage", and would look at versions that
    # have no hash as soon as there is a newer one.
    # shellcheck disable=SC2086  # $extras is several words
    "$UV" pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-header --no-annotate \
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
