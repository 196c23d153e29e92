#!/usr/bin/env bash
# The portable Linux wheels, without containers: zig links against an old glibc, or musl. auditwheel has the last word.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=.venv/bin machine=$(uname -m)
export PATH="$PWD/$bin:$PATH"
targets=("$machine-unknown-linux-gnu manylinux2014")
if rustc --print sysroot | xargs -I{} test -d "{}/lib/rustlib/$machine-unknown-linux-musl"; then
    targets+=("$machine-unknown-linux-musl musllinux_1_2")
else
    echo "missing here: the target $machine-unknown-linux-musl (rustup target add $machine-unknown-linux-musl)" >&2
fi
rm -rf dist
for target in "${targets[@]}"; do
    read -r triple policy <<<"$target"
    maturin build --release --locked --zig --target "$triple" --compatibility "$policy" --interpreter "$bin/python" --out dist
done
maturin sdist --out dist
for wheel in dist/*.whl; do
    case $wheel in *manylinux*) auditwheel show "$wheel" ;; esac
    python -m zipfile --list "$wheel" >/dev/null
done
ls -l dist
