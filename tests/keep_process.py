"""Runs a command as an ordinary user until standard input closes, which it does however the parent ends: a script."""

from __future__ import annotations

import subprocess
import sys

from components import ordinary_user

if __name__ == "__main__":
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, cwd="/", **ordinary_user()) as process:
        try:
            sys.stdin.buffer.read()
        finally:
            process.terminate()
