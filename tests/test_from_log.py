"""``--from-log``: deadlocks in logs that real servers have written, in each format, told as reports."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from fresh import ROOT
from jsonschema import Draft202012Validator
from test_schema import SCHEMA

from django_lockstep import run_scenario, scenarios, simulate_deadlock
from django_lockstep._core import read_log
from django_lockstep.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Report

NAMES = {"stderr": "lockstep.log", "csvlog": "lockstep.csv", "jsonlog": "lockstep.json"}
PREFIXES = ["%m [%p] ", "", "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ", "<%m %q%u@%d> "]


class Logged:
    """A server that writes its log in all three formats."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server, self.dsn = server, server.dsn

    def read(self, form: str) -> str:
        return (Path(self.server.data_dir) / "log" / NAMES[form]).read_bytes().decode("utf-8", "replace")

    def read_until(self, form: str, wanted: int) -> list[tuple[Report, str | None]]:
        """Read until the collector, which is a process of its own, has written so many deadlocks."""
        deadline = time.monotonic() + 30
        while True:
            told = read_log(self.read(form), list(scenarios()))
            assert told[0] == form
            if len(told[2]) >= wanted or time.monotonic() > deadline:
                assert len(told[2]) == wanted
                return told[2]
            time.sleep(0.02)

    def set(self, name: str, value: str) -> None:
        with closing(psycopg.connect(self.dsn, autocommit=True)) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with closing(psycopg.connect(self.dsn, autocommit=True)) as connection:
                row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row and row[0] == value:
                return
        pytest.fail(f"{name} was never {value!r}")


@pytest.fixture(scope="module")
def logged() -> Iterator[Logged]:
    settings = {
        "logging_collector": "on",
        "log_destination": "stderr,csvlog,jsonlog",
        "log_filename": "lockstep.log",
        "log_rotation_age": "0",
        "log_rotation_size": "0",
        "log_lock_waits": "on",
        "log_file_mode": "0644",
        "deadlock_timeout": "60ms",
    }
    with EmbeddedServer(settings) as server:
        yield Logged(server)


@pytest.fixture(scope="module")
def two(logged: Logged) -> Report:
    """What really happened: the first deadlock in the log."""
    return simulate_deadlock(logged.dsn, rows=(1, 2))


@pytest.mark.parametrize("form", NAMES)
def test_a_deadlock_of_two_is_told(logged: Logged, two: Report, form: str) -> None:
    victim = next(session for session in two.sessions if session.name in two.victims)
    other = next(session for session in two.sessions if session.name not in two.victims)
    report, nearest = logged.read_until(form, 1)[0]
    assert (report.outcome, report.victims, report.cycle) == ("deadlock", ("A",), ("A", "B"))
    assert [session.backend_pid for session in report.sessions] == [victim.backend_pid, other.backend_pid]
    for told, real in zip(report.sessions, (victim, other), strict=True):
        waited = next(statement for statement in real.statements if statement.waited)
        assert [statement.sql for statement in told.statements] == [waited.sql]
    assert report.sessions[0].sqlstate == "40P01"
    assert report.sessions[0].message == victim.message
    assert report.sessions[0].detail == victim.detail
    assert report.sessions[0].hint == victim.hint
    assert report.sessions[0].context == victim.context
    assert (report.sessions[1].outcome, report.sessions[1].sqlstate) == ("unknown", None)
    assert nearest is not None
    assert any(nearest in note for note in report.notes)
    # log_lock_waits says since when: the wait ended by the deadlock took deadlock_timeout.
    waiting = [event for event in report.events if event.kind == "waiting"]
    assert [event.blocked_by for event in sorted(waiting, key=lambda event: event.session)] == [
        ("B",),
        ("A",),
    ]
    assert 0.05 < report.elapsed < 5
    assert report.elapsed == report.events[[event.kind for event in report.events].index("error")].at


@pytest.mark.parametrize("form", NAMES)
def test_every_face_tells_it(logged: Logged, two: Report, form: str) -> None:
    assert two.deadlocked
    report, _ = logged.read_until(form, 1)[0]
    Draft202012Validator(SCHEMA).validate(report.to_dict())
    for face in (report.to_text(), report.to_html(), report.to_mermaid(), report.to_json()):
        assert "aborted A" in face
        assert str(report.sessions[0].backend_pid) in face
    assert "in SELECT 1 FROM" in report.to_text()


def test_a_ring_and_all_prefixes(logged: Logged, two: Report) -> None:
    assert two.deadlocked
    made = 1
    for prefix in PREFIXES:
        logged.set("log_line_prefix", prefix)
        ring = simulate_deadlock(logged.dsn, sessions=3)
        assert ring.deadlocked
        made += 1
        for form in NAMES:
            report, _ = logged.read_until(form, made)[-1]
            pids = {session.name: session.backend_pid for session in ring.sessions}
            assert [session.backend_pid for session in report.sessions] == [pids[name] for name in ring.cycle]
            assert all(session.statements for session in report.sessions)
            if form != "stderr":
                assert (report.server.database, report.server.role) == ("postgres", "postgres")


NEAREST = {
    "s01-opposite-order": {"s01-opposite-order", "s01b-batched-bulk-update", "s09-counters"},
    "s04-deadlock-at-commit": {"s04-deadlock-at-commit"},
    "s06-get-or-create-order": {"s06-get-or-create-order"},
    "s07-ignore-conflicts": {"s07-ignore-conflicts", "s08-m2m-add"},
    "s11-migration-and-request": {"s11-migration-and-request"},
    "s12-two-migrations": {"s12-two-migrations"},
    "s13-flush-against-thread": {"s13-flush-against-thread"},
    "s15-advisory-and-row": {"s15-advisory-and-row"},
}


@pytest.mark.parametrize("name", NEAREST)
def test_the_nearest_scenario_is_the_one_that_it_came_from(name: str) -> None:
    settings = {
        "logging_collector": "on",
        "log_destination": "jsonlog",
        "log_filename": "lockstep.log",
        "log_lock_waits": "on",
    }
    with EmbeddedServer(settings) as server:
        done = run_scenario(name, server.dsn)
        assert any("40P01" in effect for effect in done.effects)
        told = Logged(server).read_until("jsonlog", sum("40P01" in effect for effect in done.effects))
    assert told[0][1] in NEAREST[name]


def test_what_is_no_log_has_no_deadlock() -> None:
    for text in (
        "",
        "\n",
        "nonsense",
        "{",
        "{}",
        '{"detail": 1}',
        ",,,",
        '"',
        "\t",
        "LOG:  \n\t\nDETAIL:  ",
        "\ufeff",
    ):
        assert read_log(text)[2] == []


def test_a_log_that_begins_in_the_middle(logged: Logged, two: Report) -> None:
    assert two.deadlocked
    for form in NAMES:
        text = logged.read(form)
        for start in range(0, len(text), 97):
            form_read, _, told = read_log(text[start:])
            assert len(told) <= len(read_log(text)[2]), (form_read, start)
    half = logged.read("stderr")
    assert len(read_log(half[half.index("\n", 10) + 1 :])[2]) == len(read_log(half)[2])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two deadlocks, as a German server with a short prefix writes it."""
    file = tmp_path / "postgresql.log"
    one = (
        "10:00 [11] FEHLER:  Verklemmung (Deadlock) entdeckt\n"
        "10:00 [11] DETAIL:  Prozess 11 wartet auf ShareLock-Sperre auf Transaktion 745; blockiert von Prozess 12.\n"
        "\tProzess 12 wartet auf ShareLock-Sperre auf Transaktion 744; blockiert von Prozess 11.\n"
        "\tProzess 11: UPDATE konto\n\t  SET saldo = 1 WHERE id = 2\n"
        "\tProzess 12: UPDATE konto SET saldo = 2 WHERE id = 1\n"
        "10:00 [11] TIPP:  Einzelheiten zur Anfrage finden Sie im Serverlog.\n"
        "10:00 [11] ZUSAMMENHANG:  beim Aktualisieren von Tupel (0,2) in Relation »konto«\n"
        "10:00 [11] ANWEISUNG:  UPDATE konto\n\t  SET saldo = 1 WHERE id = 2\n"
    )
    file.write_text(f"10:00 [1] LOG:  Datenbanksystem ist bereit\n{one}{one}", encoding="utf-8")
    return file


def test_a_log_in_another_language(log: Path) -> None:
    form, entries, told = read_log(log.read_text(encoding="utf-8"), list(scenarios()))
    assert (form, entries, len(told)) == ("stderr", 3, 2)
    report, nearest = told[0]
    assert report.sessions[0].message == "Verklemmung (Deadlock) entdeckt"
    assert report.sessions[0].hint == "Einzelheiten zur Anfrage finden Sie im Serverlog."
    assert report.sessions[0].context == "beim Aktualisieren von Tupel (0,2) in Relation »konto«"
    assert report.sessions[0].statements[0].sql == "UPDATE konto\n  SET saldo = 1 WHERE id = 2"
    assert nearest == "s01-opposite-order"


def command(*arguments: str) -> str:
    manage = ROOT / "tests" / "shop_project" / "manage.py"
    done = subprocess.run(
        [sys.executable, str(manage), "deadlock_test", *arguments],
        capture_output=True,
        text=True,
        check=False,
        # A log needs no database at all.
        env=os.environ | {"SHOP_DATABASES": "{}"},
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_the_command_tells_all_or_one(log: Path, tmp_path: Path) -> None:
    text = command("--from-log", str(log))
    assert text.startswith("0\nDeadlock 1 of 2\n")
    assert text.count("DEADLOCK: PostgreSQL aborted A (40P01); the cycle: A → B → A") == 2
    assert " ".join(text.split()).count("deadlock_test --scenario s01-opposite-order") == 2
    assert command("--from-log", str(log), "--deadlock=2", "--format=mermaid").startswith(
        "0\nsequenceDiagram\n"
    )
    told = json.loads(command("--from-log", str(log), "--format=json")[2:])
    assert [one["outcome"] for one in told] == ["deadlock", "deadlock"]
    page = tmp_path / "page.html"
    assert (
        command("--from-log", str(log), "--format=html", "--output", str(page)) == f"0\n\nWritten: {page}\n"
    )
    assert page.read_text(encoding="utf-8").count('<details class="chapter deadlock"') == 2


def test_the_command_says_what_to_do(log: Path, tmp_path: Path) -> None:
    assert command("--from-log", str(log), "--format=mermaid").startswith("2\n")
    assert "Give a number from 1 to 2." in command("--from-log", str(log), "--deadlock=3")
    missing = command("--from-log", str(tmp_path / "nothing"))
    assert missing.startswith("1\n")
    assert "No such file or directory" in missing
    empty = tmp_path / "empty"
    empty.write_text("", encoding="utf-8")
    told = command("--from-log", str(empty))
    assert told.startswith("3\n")
    assert "has no entry of a PostgreSQL server log" in told
    refused = command("--from-log", str(log), "--expect=no_conflict", "--repeat=2")
    assert refused.startswith("2\n")
    assert "does not go with --expect and --repeat. Leave out --expect and --repeat." in refused
    assert "There is no markdown of a plain deadlock, or of a log, only of --matrix." in command(
        "--from-log", str(log), "--format=markdown"
    )


def test_a_log_that_begins_with_a_hole_is_read(log: Path) -> None:
    """As after a truncation while the server had it open."""
    whole = log.read_bytes()
    log.write_bytes(bytes(64) + whole)
    assert len(read_log(log.read_bytes().decode())[2]) == len(read_log(whole.decode())[2]) == 2


def test_times_that_the_log_does_not_tell_are_not_told() -> None:
    ((report, _),) = read_log(DEADLOCK)[2]
    for face in (report.to_text(), report.to_html(), report.to_mermaid()):
        assert "0.000 s" not in face


def test_json_of_one_is_an_object(logged: Logged, two: Report) -> None:
    assert two.deadlocked
    report, _ = logged.read_until("jsonlog", len(read_log(logged.read("jsonlog"))[2]))[0]
    assert json.loads(report.to_json())["schema_version"] == 1


DEADLOCK = (
    "10:00 [11] ERROR:  deadlock detected\n"
    "10:00 [11] DETAIL:  Process 11 waits for ShareLock on transaction 745; blocked by process 12.\n"
    "\tProcess 12 waits for ShareLock on transaction 744; blocked by process 11.\n"
    "\tProcess 11: a\n\tProcess 12: b\n"
)


@pytest.mark.parametrize("form", NAMES)
def test_a_file_is_read_like_its_text(logged: Logged, two: Report, form: str) -> None:
    assert two.deadlocked
    text = logged.read(form)
    assert read_log(io.BytesIO(text.encode())) == read_log(text)


@pytest.mark.parametrize("form", NAMES)
def test_what_lost_its_head_is_read_from_its_next_entry(logged: Logged, two: Report, form: str) -> None:
    assert two.deadlocked
    text = logged.read(form)
    wanted = read_log(text)
    for cut in (1, 7, text.index("\n") // 2, text.index("\n")):
        found = read_log(text[cut:])
        assert (found[0], len(found[2])) == (form, len(wanted[2])), text[cut : cut + 80]
    for cut in range(len(text) - 2000, len(text), 97):  # what lost its tail does no harm
        assert len(read_log(text[:cut])[2]) <= len(wanted[2])


def test_a_long_log_is_not_kept_in_memory() -> None:
    code = f"""
import resource
from django_lockstep._core import read_log
class Log:
    rest, left = b"", 150
    def read(self, size):
        if not self.rest and self.left:
            self.left -= 1
            noise = b"10:00 app [1] LOG:  noise, noise, noise\\n" * 29_000
            self.rest = {DEADLOCK!r}.encode() if self.left in (0, 149) else noise
        data, self.rest = self.rest[:size], self.rest[size:]
        return data
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
form, entries, told = read_log(Log())
print(form, entries, len(told), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    form, entries, told, grown = done.stdout.split()
    assert (form, int(entries), int(told)) == ("stderr", 148 * 29_000 + 2, 2)
    assert int(grown) < 40, "megabytes, of about 150"


def test_what_a_file_raises_comes_out_of_it() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise KeyboardInterrupt(size)

    with pytest.raises(KeyboardInterrupt):
        read_log(Broken())
    with pytest.raises(AttributeError, match="read"):
        read_log(7)  # type: ignore[arg-type]


def test_a_compressed_log_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "postgresql.log.2.gz"
    file.write_bytes(gzip.compress(DEADLOCK.encode()))
    told = command("--from-log", str(file))
    assert told.startswith("1\n")
    assert f"{file} is compressed. Unpack it on the way: zcat {file} |" in told
    file.write_bytes(b"")
    assert command("--from-log", str(file)).startswith("3\n")
