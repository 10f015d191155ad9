#!/bin/sh
# Write requirements/*.lock anew from pyproject.toml: every artefact's hash, CPython 3.11 and
# later on Linux, both architectures. Needs `uv` on the PATH; nothing else in this tree does.
set -eu
cd "$(dirname "$0")/.."

lock() {
    name=$1
    shift
    uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-annotate \
        --custom-compile-command "make lock" \
        --output-file "requirements/$name.lock" "$@"
}

lock runtime pyproject.toml
lock build --group pyproject.toml:build
lock sigstore pyproject.toml --extra sigstore --constraints requirements/runtime.lock
lock slip39 pyproject.toml --extra slip39 --constraints requirements/runtime.lock
lock dev pyproject.toml --extra sigstore --extra slip39 --group dev --group build \
    --constraints requirements/runtime.lock
