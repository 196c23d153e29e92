"""A fresh environment with the wheel in it, as a user has one."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
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


def built_wheel(out: Path) -> Path:
    """Build the wheel as `make` builds the package, so that only linking and packing is left to do."""
    maturin = Path(sys.executable).with_name("maturin")
    checked(maturin, "build", "--profile", "local", "--interpreter", sys.executable, "--out", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


def environment_with(folder: Path, *packages: str) -> Path:
    """Make an environment with these packages; return the folder of its programs."""
    venv.create(folder, with_pip=True, symlinks=True)
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if packages:
        checked(*pip, *packages, cwd=folder, PIP_ROOT_USER_ACTION="ignore")
    return folder / "bin"
