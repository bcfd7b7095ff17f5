#!/bin/sh
# Writes bench/peers/*.txt, the locks of the servers that `make bench-runtime` compares with, and those of the tools of
# `make torture` and of the clients that the runtime is tried with, from the *.in beside them.
# The numerical libraries are held at the runtime's versions, so that all load the same models and compute alike.
# Hashes, but no addresses. With --check nothing is written: exits 1 when a lock no longer satisfies its source.
set -eu
check=${1:-}
workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT

grep -E '^(scikit-learn|numpy|joblib)==' requirements/runtime.txt | sed 's/ *\\$//' >"$workdir/constraints.txt"
for source in bench/peers/*.in tests/torture/*.in tests/integration/runtime/*.in; do
    name=$(basename "$source" .in)
    # The present lock is the starting point, so --check does not turn red because a new version was published.
    lock="${source%.in}.txt"
    if [ -f "$lock" ] && [ -z "${UPGRADE:-}" ]; then cp "$lock" "$workdir/$name.txt"; fi
    # Not universal: MLServer has no version for every Python that we support.
    "$UV" pip compile --quiet --no-strip-extras --python-version 3.11 --python-platform linux --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --constraint "$workdir/constraints.txt" "$source" \
        --output-file "$workdir/$name.txt"
    if [ -n "$check" ]; then
        cmp -s "$workdir/$name.txt" "$lock" || {
            echo "modelyard: $lock does not agree with $source. Run: make lock" >&2
            exit 1
        }
    else
        cp "$workdir/$name.txt" "$lock"
    fi
done
