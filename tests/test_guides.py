"""The guides are true: each block of Python in them is a test module of the example project, and passes."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, checked

if TYPE_CHECKING:
    from pathlib import Path


GUIDES = ("test-my-retry", "fork", "run-together", "explore")


@pytest.mark.parametrize("guide", GUIDES)
def test_every_block_passes(guide: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert text.count("```") == 2 * len(blocks)
    project = tmp_path / "example_project"
    shutil.copytree(ROOT / "example_project", project)
    for number, block in enumerate(blocks, 1):
        assert "def test_" in block
        (project / "bank" / f"test_guide_{number}.py").write_text(block, encoding="utf-8")
    ran = checked(sys.executable, "manage.py", "test", "-p", "test_guide_*.py", cwd=project)
    assert f"Found {sum(block.count('    def test_') for block in blocks)} test(s)" in ran
