"""``--from-log`` in any language: PostgreSQL's own translations, and a server that really writes German."""

from __future__ import annotations

import gettext
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from components import needs, postgresql_with_tls

from django_lockstep import simulate_deadlock
from django_lockstep._core import read_log
from django_lockstep.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Report

CATALOGUES = {
    f"{file.parts[-3]} of {file.stem}": file
    for file in sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/postgres-*.mo"))
}
NAMES = {"stderr": "lockstep.log", "csvlog": "lockstep.csv", "jsonlog": "lockstep.json"}


def filled(template: str, *values: object) -> str:
    """Fill a template of C's printf, in which a translation may have turned the order of the values."""
    rest = iter(values)

    def one(match: re.Match[str]) -> str:
        value = values[int(match[1]) - 1] if match[1] else next(rest)
        return f"{value:03d}" if match[2] else str(value)

    return re.sub(r"%(?:(\d+)\$)?(03)?l?[dsu]", one, template)


def log_in(catalogue: Path) -> str:
    """Return a log as a server with these messages writes it (elog.c, deadlock.c, proc.c, lmgr.c)."""
    with catalogue.open("rb") as file:
        told = gettext.GNUTranslations(file).gettext
    sentence = told("Process %d waits for %s on %s; blocked by process %d.")
    waits = [
        filled(sentence, waiter, "ShareLock", filled(told("transaction %u"), 700 + holder), holder)
        for waiter, holder in ((11, 12), (12, 11))
    ]
    still = told("process %d still waiting for %s on %s after %ld.%03d ms")
    begin = "2026-11-24 10:00:01.000 UTC [11] "
    place = filled(told("tuple (%u,%u) of relation %u of database %u"), 0, 123, 16384, 5)
    lines = [
        f"{begin}{told('LOG')}:  {filled(still, 11, 'ShareLock', place, 1000, 250)}",
        f"{begin}{told('DETAIL:  ')}nothing",
        f"{begin}{told('ERROR')}:  {told('deadlock detected')}",
        f"{begin}{told('DETAIL:  ')}{waits[0]}",
        f"\t{waits[1]}",
        "\t" + filled(told("Process %d: %s"), 11, "UPDATE a\n\t  SET b = 1"),
        "\t" + filled(told("Process %d: %s"), 12, "UPDATE c SET d = 2"),
        f"{begin}{told('HINT:  ')}{told('See server log for query details.')}",
        f"{begin}{told('CONTEXT:  ')}{filled(told('while updating tuple (%u,%u) in relation %s'), 0, 1, 'a')}",
        f"{begin}{told('STATEMENT:  ')}UPDATE a\n\t  SET b = 1",
    ]
    return "\n".join(lines) + "\n"


def test_there_are_languages() -> None:
    needs(next(iter(CATALOGUES.values()), None), "translations of PostgreSQL's messages", "postgresql")


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_deadlock_is_read_in_every_language_that_the_server_has(language: str) -> None:
    form, _, told = read_log(log_in(CATALOGUES[language]))
    assert (form, len(told)) == ("stderr", 1)
    report, _ = told[0]
    assert [session.backend_pid for session in report.sessions] == [11, 12]
    statements = [statement.sql for session in report.sessions for statement in session.statements]
    assert statements == ["UPDATE a\n  SET b = 1", "UPDATE c SET d = 2"]
    assert report.elapsed == pytest.approx(1.00025)
    assert all((event.lock or "ShareLock").startswith("ShareLock") for event in report.events)
    assert report.sessions[0].hint
    assert report.sessions[0].context


@pytest.fixture(scope="module")
def german() -> Iterator[EmbeddedServer]:
    """A server that writes German: Debian's, which has translations, with a locale made for it."""
    binaries = postgresql_with_tls()
    version = binaries.parent.name
    catalogue = Path(f"/usr/share/locale/de/LC_MESSAGES/postgres-{version}.mo")
    needs(catalogue if catalogue.exists() else None, "the server's German", "postgresql")
    localedef = shutil.which("localedef")
    source = Path("/usr/share/i18n/locales/de_DE")
    needs(Path(localedef) if localedef and source.exists() else None, "the sources of locales", "locales")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)  # the server's user reads it
        made = Path(folder) / "de_DE.UTF-8"
        subprocess.run(
            [str(localedef), "-i", "de_DE", "-f", "UTF-8", str(made)], check=False, capture_output=True
        )
        assert (made / "LC_CTYPE").exists()
        patch.setenv("LOCPATH", folder)
        patch.delenv("LANGUAGE", raising=False)
        settings = {
            "lc_messages": "de_DE.UTF-8",
            "logging_collector": "on",
            "log_destination": "stderr,csvlog" + (",jsonlog" if int(version) >= 15 else ""),
            "log_filename": "lockstep.log",
            "log_lock_waits": "on",
            "log_file_mode": "0644",
            "deadlock_timeout": "60ms",
        }
        with EmbeddedServer(settings, bindir=binaries) as server:
            yield server


@pytest.mark.parametrize("form", NAMES)
def test_a_german_server_is_understood(german: EmbeddedServer, form: str) -> None:
    folder = Path(german.data_dir) / "log"
    if not (folder / NAMES[form]).exists():
        pytest.skip("PostgreSQL 15 is the first that has it")
    before = len(read_log((folder / NAMES[form]).read_bytes().decode("utf-8", "replace"))[2])
    real = simulate_deadlock(german.dsn)
    assert real.deadlocked
    deadline = time.monotonic() + 30
    told: list[tuple[Report, str | None]] = []
    while len(told) <= before and time.monotonic() < deadline:  # the collector is a process of its own
        with (folder / NAMES[form]).open("rb") as log:
            _, _, told = read_log(log)
    report, _ = told[-1]
    assert report.sessions[0].message == "Verklemmung (Deadlock) entdeckt"
    assert report.sessions[0].detail is not None
    assert "blockiert von Prozess" in report.sessions[0].detail
    pids = {session.name: session.backend_pid for session in real.sessions}
    assert [session.backend_pid for session in report.sessions] == [pids[name] for name in real.cycle]
    assert report.elapsed > 0.05, "log_lock_waits tells since when, with a German comma"
