"""How large a wheel is: one that was built, or else the installed package, packed as a wheel is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import django_lockstep
from benches.place import ROOT

BUILT = ("dist", "target/wheels", "target/matrix-wheels")


def measure() -> dict[str, Any]:
    """Return its size in bytes, and where that is from."""
    built = [wheel for folder in BUILT for wheel in ROOT.glob(f"{folder}/*.whl")]
    if built:
        newest = max(built, key=lambda wheel: wheel.stat().st_mtime)
        return {"bytes": newest.stat().st_size, "of": newest.name}
    package = Path(django_lockstep.__file__).parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(package))
    return {"bytes": len(packed.getvalue()), "of": "the installed package, zipped"}
