#!/usr/bin/env bash
# The portable Linux wheels of this machine's architecture, without containers: zig links against an old glibc, or musl.
# One serves every CPython with a GIL; a free-threaded one, which takes no stable ABI, is built for if it is on the PATH.
# What is missing here is said, and with NOTHING_MISSING=1 it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/.venv/bin machine=$(uname -m) missing=()
export PATH="$bin:$PATH"
targets=("$machine-unknown-linux-gnu manylinux2014" "$machine-unknown-linux-musl musllinux_1_2")
interpreters=("$bin/python")
free_threaded=$(python -c 'import sys; sys.path.insert(0, "tools"); import support; print(*(support.interpreter(each) or each for each in support.matrix()["python"] if each.endswith("t")))')
for python in $free_threaded; do
    if [[ $python == /* ]]; then interpreters+=("$python"); else missing+=("CPython $python"); fi
done
rm -rf dist
for target in "${targets[@]}"; do
    read -r triple policy <<<"$target"
    if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$triple ]]; then
        missing+=("the Rust target $triple (rustup target add $triple)")
        continue
    fi
    for python in "${interpreters[@]}"; do
        maturin build --release --locked --zig --target "$triple" --compatibility "$policy" --interpreter "$python" --out dist
    done
done
maturin sdist --out dist
python tools/dist_check.py dist
for each in "${missing[@]}"; do echo "missing here: $each" >&2; done
[[ ${#missing[@]} -eq 0 || -z ${NOTHING_MISSING:-} ]]
