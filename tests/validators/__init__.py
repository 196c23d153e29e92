"""Parsers by others, from npm: html-validate and Mermaid itself. ``make`` installs them where npm is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components import needs

if TYPE_CHECKING:
    from types import TracebackType

FOLDER = Path(__file__).parent


class Validators:
    """A process of theirs that is asked for one document after the other."""

    def __enter__(self) -> Validators:
        node = needs(Path(found) if (found := shutil.which("node")) else None, "Node.js", "nodejs npm")
        installed = FOLDER / "node_modules" / "mermaid"
        needs(installed if installed.exists() else None, "the validators of npm: make .venv/.npm", "npm")
        command = [str(node), str(FOLDER / "validate.mjs")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def problems(self, kind: Literal["html", "mermaid"], text: str) -> list[str]:
        """Return what is wrong with a document."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"kind": kind, "text": text}) + "\n")
        self._process.stdin.flush()
        answer: list[str] = json.loads(self._process.stdout.readline())
        return answer
