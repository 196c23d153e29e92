#!/usr/bin/env bash
# The source distribution holds what a build needs and no more; pip builds it without the network, with nothing of this
# clone but Cargo's cache of crates; and what comes out works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/.venv/bin work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo fetch --locked --quiet
"$bin/maturin" sdist --out "$work/dist"
# A target of its own: Cargo takes a package that lies elsewhere for the same, and would build nothing anew.
export CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$work/target" PIP_DISABLE_PIP_VERSION_CHECK=1
PATH="$bin:$PATH" "$bin/pip" wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$work/dist" \
    --config-settings build-args="--profile local --locked" "$work"/dist/*.tar.gz
"$bin/python" tools/dist_check.py "$work/dist"
"$bin/python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-index --no-deps "$work"/dist/*.whl
cd "$work"
PYTHONPATH='' venv/bin/python -c 'import django_lockstep as built; print("built offline:", built.__version__, len(built.scenarios()), "scenarios")'
