"""A fresh environment with the wheel in it, as a user has one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without this one's Python, PostgreSQL and make."""
    dropped = {"VIRTUAL_ENV", "DATABASE_URL", "LOCKSTEP_TEST_DSN", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("PG", "PYTHON", "DJANGO"))
    }
    return {**kept, **more}


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in an environment without this one's Python settings."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )


def checked(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run it and return its output; it must succeed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built_wheel(interpreter: str | None = None) -> Path:
    """Build the wheel as `make` builds the package, once for all tests and all workers; return it.

    Only linking and packing is left to do, and that too only if something has changed since. A free-threaded
    interpreter has a wheel of its own.
    """
    folder = ROOT / "target" / "wheel" / (Path(interpreter).name if interpreter else "abi3")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, inside = folder / "made-from", _digest()
        if not stamp.exists() or stamp.read_text() != inside:
            for old in folder.glob("*.whl"):
                old.unlink()
            stamp.unlink(missing_ok=True)
            maturin = Path(sys.executable).with_name("maturin")
            options = ("--profile", "local", "--interpreter", interpreter or sys.executable, "--out", folder)
            checked(maturin, "build", *options, cwd=ROOT)
            stamp.write_text(inside)
        (wheel,) = folder.glob("*.whl")
    return wheel


def _digest() -> str:
    """Return what changes when any file changes that the wheel is made of."""
    files = [ROOT / name for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE")]
    for folder in (ROOT / "src", ROOT / "python"):
        files += [file for file in folder.rglob("*") if file.suffix not in {".pyc", ".so"} and file.is_file()]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def environment_with(folder: Path, *packages: str) -> Path:
    """Make an environment with pip and these packages; return the folder of its programs.

    uv makes it: it links what it has in its cache, where pip would unpack everything anew.
    """
    uv = Path(sys.executable).with_name("uv")
    checked(uv, "venv", "--quiet", "--seed", "--python", sys.executable, folder, cwd=ROOT)
    if packages:
        checked(uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages, cwd=ROOT)
    return folder / "bin"
