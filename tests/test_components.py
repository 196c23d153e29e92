"""What the distribution must bring: without it tests skip and say why, but never where CI is true."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from components import needs

CI = Path(__file__).parent.parent / ".ci" / "run"


def test_what_is_missing_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install pgbouncer"):
        needs(None, "PgBouncer", "pgbouncer")


def test_nothing_is_skipped_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install pgbouncer"):
        needs(None, "PgBouncer", "pgbouncer")


def test_what_is_there_is_used(tmp_path: Path) -> None:
    assert needs(tmp_path, "anything", "package") == tmp_path


def test_the_gate_installs_what_is_missing_and_stops_when_it_cannot() -> None:
    text = CI.read_text()
    assert "set -euo pipefail" in text
    assert "export CI=true" in text
    for package in ("postgresql", "pgbouncer", "openssl"):
        assert f"components+=({package})" in text
    subprocess.run(["bash", "-n", str(CI)], check=True)
