#!/usr/bin/env bash
# The source distribution, unpacked elsewhere, builds without the network: crates come from Cargo's cache. What comes out works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD bin=$PWD/.venv/bin work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo fetch --locked --quiet
"$bin/maturin" sdist --out "$work/dist"
mkdir "$work/unpacked" "$work/wheel"
tar --extract --gzip --strip-components 1 --directory "$work/unpacked" --file "$work"/dist/*.tar.gz
(
    cd "$work/unpacked"
    export CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$root/target"
    "$bin/maturin" build --profile local --locked --interpreter "$bin/python" --out "$work/wheel"
)
"$bin/python" -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check install --quiet "$work"/wheel/*.whl
(cd "$work" && PYTHONPATH='' "$work/venv/bin/python" -c 'import django_lockstep; print("built offline:", django_lockstep.__version__)')
