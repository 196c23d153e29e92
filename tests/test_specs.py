"""``.spec`` files: read, run on the server, and told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from spec_texts import DEADLOCK, ONE
from witness import schemas, value, wait_until

from django_lockstep import LockstepError, Spec, load_spec
from django_lockstep.exceptions import CallTimeout, ConnectionFailed, Refused, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeRole
    from witness import Connection

    from django_lockstep import Event, Server


SLOW = "session s step sleeps { SELECT pg_sleep(600); }"
HANGS = """
setup { CREATE TABLE spec_hang (); }
teardown { DROP TABLE spec_hang; }
session s setup { BEGIN; } step locks { LOCK TABLE spec_hang; } step commits { COMMIT; }
session t step waits { LOCK TABLE spec_hang; }
step wants { TABLE spec_hang; }
permutation locks wants waits commits
"""


def test_a_deadlock_is_told_in_every_face(dsn: str) -> None:
    report = load_spec(DEADLOCK).run(dsn)
    assert report.permutations == ("a1 b2 a2 b1 ac bc", "a1 a2 ac b2 b1 bc")
    assert report.effects == ("40P01", "none")
    assert report.failure is None
    deadlock, fine = report.reports
    assert (deadlock.outcome, deadlock.victims, deadlock.cycle) == ("deadlock", ("A",), ("A", "B"))
    assert [session.name for session in deadlock.sessions] == ["A", "B"]
    assert (fine.outcome, [session.outcome for session in fine.sessions]) == (
        "no_conflict",
        ["committed"] * 2,
    )
    assert "A waited in a2 for B. B waited in b1 for A." in deadlock.explanation
    told = report.to_dict()
    assert told["schema_version"] == 1
    assert [one["effect"] for one in told["permutations"]] == ["40P01", "none"]
    assert json.loads(report.to_json()) == told
    text = report.to_text()
    assert re.search(r"^ +\d\.\d{3} s ┊ waits in a2 for B ─+▶│$", text, re.MULTILINE)
    assert re.search(r"^ +\d\.\d{3} s ✗ victim: 40P01 deadlock detected +┊$", text, re.MULTILINE)
    assert text.count("\nPermutation ") == 2
    assert [verdict.split()[0] for verdict in report.verdicts] == ["DEADLOCK", "NO"]
    assert all(verdict in text for verdict in report.verdicts)
    assert "SELECT id" in report.to_text(2)
    assert "SELECT id" not in text
    assert report.to_isolationtester().splitlines()[:12] == [
        "Parsed test spec with 2 sessions",
        "",
        "starting permutation: a1 b2 a2 b1 ac bc",
        "step a1: SELECT id FROM spec_account WHERE id = 1 FOR UPDATE;",
        "id",
        "--",
        " 1",
        "(1 row)",
        "",
        "step b2: SELECT id FROM spec_account WHERE id = 2 FOR UPDATE;",
        "id",
        "--",
    ]


def test_a_spec_is_a_path_or_a_text(tmp_path: Path) -> None:
    file = tmp_path / "one.spec"
    file.write_text(ONE)
    by_path, by_string, by_text = load_spec(file), load_spec(str(file)), load_spec(ONE)
    assert by_path == by_string
    assert (by_path.name, by_text.name, by_text.sessions, by_text.permutations) == (
        "one.spec",
        "spec",
        ("s",),
        (),
    )
    assert str(by_path) == str(by_text)
    assert load_spec(str(by_text)) == by_text
    assert isinstance(by_text, Spec)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "session s step a { SELECT 1",
            "In spec, line 1, column 18: expected { SQL }, closed by }. Mend the file there",
        ),
        (
            "session s step a { SELECT 1;\nstep b { SELECT 2; }\npermutation a b",
            'column 15: undefined step "b" specified in permutation; the block that begins in line 1, column 18 is',
        ),
        (ONE + "\npermutation c", 'In spec, line 2, column 13: undefined step "c" specified in permutation'),
    ],
)
def test_what_is_no_spec_is_told_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)) as caught:
        load_spec(text)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"Cannot read .*nothing\.spec: No such file or directory\. Give the path"
    ) as caught:
        load_spec(tmp_path / "nothing.spec")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    binary = tmp_path / "binary.spec"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        load_spec(binary)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"isolation": "chaos"}, "isolation cannot be 'chaos'"),
        ({"permutations": [2]}, "There is no permutation 2"),
        ({"permutations": ["a"]}, "permutations cannot be"),
        ({"timeout": 0}, "timeout cannot be 0"),
        ({"step_timeout": True}, "step_timeout cannot be True"),
        ({"what_if": "nowait"}, "for scratch schemas only"),
        ({"deadlock_timeout": 1}, "for scratch schemas only"),
        ({"what_if": "nowait", "scratch": True}, "No step has a locking clause"),
        ({"what_if": "magic", "scratch": True}, "what_if cannot be 'magic'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.compile(re.escape(sentence), re.IGNORECASE)):
        load_spec(ONE + " permutation a b").run("host=/nowhere", **arguments)  # type: ignore[arg-type]


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(ConnectionFailed):
        load_spec(ONE).run("host=/nowhere user=nobody")


def test_the_isolation_level(dsn: str) -> None:
    report = load_spec(ONE).run(dsn, isolation="serializable")
    assert "serializable" in report.to_isolationtester()


def test_all_interleavings_are_run_if_none_is_named(dsn: str) -> None:
    spec = load_spec("session s step a { SELECT 1; } step b { SELECT 2; } session t step c { SELECT 3; }")
    assert spec.run(dsn).permutations == ("a b c", "a c b", "c a b")


def test_only_some_permutations(dsn: str) -> None:
    assert load_spec(DEADLOCK).run(dsn, permutations=[2]).effects == ("none",)


def test_the_sessions_are_named_as_isolationtester_names_them(dsn: str) -> None:
    spec = load_spec("session s step a { SELECT current_setting('application_name'); }")
    assert "\nlockstep/s" in spec.run(dsn).to_isolationtester()
    named = make_conninfo(dsn, application_name="isolation/one")
    assert "\nisolation/one/s" in spec.run(named).to_isolationtester()


def test_the_callbacks_are_told_in_order_in_the_calling_thread(dsn: str) -> None:
    told: list[str] = []

    def start(server: Server) -> None:
        told.append(f"start {server.version_num // 10000 > 13} {threading.current_thread().name}")

    def permutation(steps: str, number: int) -> None:
        told.append(f"{number} {steps}")

    def event(event: Event) -> None:
        if event.step != "setup":
            told.append(f"{event.session} {event.kind} {event.step}")

    load_spec(DEADLOCK).run(dsn, permutations=[2], on_start=start, on_permutation=permutation, on_event=event)
    assert told[:4] == ["start True MainThread", "2 a1 a2 ac b2 b1 bc", "A request a1", "A acquired a1"]
    assert told[-1] == "B commit bc"


@pytest.mark.parametrize("callback", ["on_start", "on_permutation", "on_event"])
def test_what_a_callback_raises_ends_the_run_and_is_raised(
    dsn: str, witness: Connection, callback: str
) -> None:
    class Odd(Exception):
        pass

    def raises(*_: object) -> None:
        raise Odd

    with pytest.raises(Odd):
        load_spec(DEADLOCK).run(dsn, scratch=True, **{callback: raises})  # type: ignore[arg-type]
    assert schemas(witness) == []


def test_a_setup_that_fails_gives_the_file_up(dsn: str) -> None:
    report = load_spec(f"setup {{ SELECT 1/0; }} {ONE}").run(dsn)
    assert report.failure == "setup failed: ERROR:  division by zero\n"
    assert report.to_isolationtester().endswith("setup failed: ERROR:  division by zero\n")
    assert "GIVEN UP: setup failed" in report.to_text()


def test_a_step_that_takes_too_long_is_cancelled(dsn: str) -> None:
    report = load_spec(SLOW).run(dsn, step_timeout=0.5)
    assert report.effects == ("57014",)
    assert "isolationtester: canceling step sleeps after 0 seconds\n" in report.to_isolationtester()
    assert "ERROR:  canceling statement due to user request" in report.to_isolationtester()


def test_the_time_for_a_step_is_the_environments(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_TEST_TIMEOUT_DEFAULT", "1")
    assert "canceling step sleeps after 2 seconds" in load_spec(SLOW).run(dsn).to_isolationtester()


def test_a_wait_that_nobody_ends_is_cancelled(dsn: str, witness: Connection) -> None:
    report = load_spec(HANGS).run(dsn, scratch=True, step_timeout=0.5)
    # The wait is cancelled; then a LOCK outside a transaction is refused.
    assert report.effects == ("57014, 25P01",)
    assert schemas(witness) == []


def test_the_timeout_is_told_by_the_report(dsn: str, witness: Connection) -> None:
    report = load_spec(SLOW).run(dsn, scratch=True, timeout=0.5)
    assert report.failure == "the timeout of 0.5 s ran out"
    assert report.reports[0].outcome == "timeout"
    assert schemas(witness) == []


def test_a_frozen_server_does_not_outlast_the_timeout(private_server: object) -> None:
    from django_lockstep.embedded import EmbeddedServer

    assert isinstance(private_server, EmbeddedServer)
    assert private_server.pid is not None
    frozen: list[int] = []

    def freeze(event: Event) -> None:
        if event.step == "sleeps" and not frozen:
            children = subprocess.run(
                ["pgrep", "-P", str(private_server.pid)], capture_output=True, text=True, check=True
            ).stdout.split()
            frozen.extend(int(pid) for pid in children)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)

    try:
        report = load_spec(SLOW).run(private_server.dsn, timeout=1, on_event=freeze)
        assert report.failure == "the timeout of 1 s ran out"
    except CallTimeout:
        pass
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("scratch", [False, True])
def test_ctrl_c_ends_the_run_and_leaves_nothing(dsn: str, witness: Connection, scratch: bool) -> None:
    def interrupt(event: Event) -> None:
        if event.kind == "request" and event.step == "sleeps":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        load_spec(SLOW).run(dsn, scratch=scratch, on_event=interrupt)
    assert schemas(witness) == []
    wait_until(
        lambda: value(
            witness,
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' "
            "AND pid <> pg_backend_pid() AND state = 'active')",
        )
    )


def test_a_role_that_may_not_set_what_the_spec_sets_is_told_before_the_run(role: MakeRole) -> None:
    with pytest.raises(
        Refused, match=r"may not set deadlock_timeout, which the spec does\. Run it as a superuser"
    ) as caught:
        load_spec(DEADLOCK).run(role())
    assert caught.value.sqlstate == "42501"
    free = "session s setup { SET lock_timeout = '1s'; } step a { SELECT 1; }"
    assert load_spec(free).run(role()).effects == ("none",)


def test_a_control_connection_that_ends_is_an_error(dsn: str) -> None:
    def terminate(event: Event) -> None:
        if event.step == "sleeps" and event.kind == "request":
            with closing(psycopg.connect(dsn, autocommit=True)) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'lockstep/control%'"
                )

    with pytest.raises(LockstepError, match="connection to the server was lost"):
        load_spec(SLOW).run(dsn, on_event=terminate)


def test_a_session_whose_connection_ends_is_told_as_isolationtester_tells_it(dsn: str) -> None:
    spec = load_spec(
        "session s step dies { SELECT pg_terminate_backend(pg_backend_pid()); } step more { SELECT 1; }"
    )
    report = spec.run(dsn)
    assert report.to_isolationtester().endswith(
        "step dies: SELECT pg_terminate_backend(pg_backend_pid());\n"
        "FATAL:  terminating connection due to administrator command\n"
        "server closed the connection unexpectedly\n"
        "\tThis probably means the server terminated abnormally\n"
        "\tbefore or while processing the request.\n\n"
        "failed to send query for step more: no connection to the server\n\n"
    )
    assert report.failure is not None


def test_what_is_not_utf_8_is_marked_and_the_rest_goes_on(dsn: str) -> None:
    text = """session s
        step changes { SET client_encoding = 'LATIN1'; }
        step reads { SELECT 'caf' || chr(233) AS name, 7 AS number; }
        step still { SELECT 8 AS number; }"""
    report = load_spec(text).run(dsn)
    assert report.failure is None
    assert "\ufffd |     7\n" in report.to_isolationtester()
    assert "     8\n(1 row)\n" in report.to_isolationtester()


def test_a_copy_to_the_client_ends_its_session_and_says_why(dsn: str) -> None:
    report = load_spec(
        "session s step a { COPY (SELECT 1) TO STDOUT; } session t step b { SELECT 2 AS two; }"
    ).run(dsn)
    (event,) = [event for event in report.reports[0].events if event.kind == "error"]
    assert event.message is not None
    assert event.message.endswith("as COPY FROM STDIN and TO STDOUT make it send")
    assert "two\n---\n  2\n" in report.to_isolationtester()


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "bom.spec"
    file.write_bytes(b"\xef\xbb\xbfsession s step a { SELECT 1; }")
    assert load_spec(file).sessions == ("s",)


def test_an_error_in_a_file_names_it_as_it_is_called(tmp_path: Path) -> None:
    file = tmp_path / "bank.spec"
    file.write_text("session s\nstep a { SELECT 1; }\nstep b")
    with pytest.raises(
        UsageError, match=r"^In bank\.spec, line 3, column 7: expected \{ SQL \}, closed by \}\. "
    ):
        load_spec(file)
