"""``simulate_deadlock`` with nothing but a DSN: a real deadlock, and a report that tells all of it."""

from __future__ import annotations

import pytest
from witness import FAST, Connection, schemas, value, wait_until

from django_lockstep import Report, simulate_deadlock


@pytest.fixture
def report(dsn: str) -> Report:
    # Long enough for the observer to see both waits, on a busy machine too.
    return simulate_deadlock(dsn, deadlock_timeout=0.3)


def test_defaults_deadlock_with_the_servers_own_deadlock_timeout(dsn: str, witness: Connection) -> None:
    report = simulate_deadlock(dsn)
    assert report.outcome == "deadlock"
    assert report.deadlocked
    servers = value(
        witness, "SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval)::float"
    )
    assert report.server.deadlock_timeout == servers
    assert report.elapsed >= servers
    assert report.notes == ()


def test_postgresql_itself_counts_the_deadlock(dsn: str, witness: Connection) -> None:
    count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = value(witness, count)
    simulate_deadlock(dsn, deadlock_timeout=FAST)
    # The victim's backend tells it when it ends.
    wait_until(lambda: value(witness, count) == before + 1, "the server's count of deadlocks")


def test_one_dies_with_the_servers_words_and_the_other_commits(report: Report) -> None:
    (victim,) = report.victims
    dead = next(session for session in report.sessions if session.name == victim)
    (survivor,) = (session for session in report.sessions if session.name != victim)
    assert [session.name for session in report.sessions] == ["A", "B"]
    assert (dead.outcome, dead.sqlstate, dead.message) == ("deadlock_victim", "40P01", "deadlock detected")
    assert dead.detail is not None
    assert f"Process {dead.backend_pid} waits for ShareLock" in dead.detail
    assert f"blocked by process {survivor.backend_pid}" in dead.detail
    assert dead.hint == "See server log for query details."
    assert dead.context is not None
    assert 'in relation "account"' in dead.context
    assert (survivor.outcome, survivor.sqlstate, survivor.message) == ("committed", None, None)
    assert survivor.detail is survivor.hint is survivor.context is None


def test_cycle_names_both_victim_first(report: Report) -> None:
    assert sorted(report.cycle) == ["A", "B"]
    assert report.cycle[0] == report.victims[0]


def test_events_tell_it_in_order(report: Report) -> None:
    told = [(event.kind, event.session, event.step) for event in report.events]
    assert told[:8] == [
        ("begin", "A", "BEGIN"),
        ("begin", "B", "BEGIN"),
        ("request", "A", "row 1"),
        ("acquired", "A", "row 1"),
        ("request", "B", "row 2"),
        ("acquired", "B", "row 2"),
        ("request", "A", "row 2"),
        ("waiting", "A", "row 2"),
    ]
    assert told[8:10] == [("request", "B", "row 1"), ("waiting", "B", "row 1")]
    kinds = [kind for kind, _, _ in told[10:]]
    assert kinds[:2] == ["error", "acquired"]  # cause before effect
    assert sorted(kinds[2:]) == ["commit", "rollback"]


def test_events_carry_what_they_are_about(report: Report) -> None:
    pids = {session.name: session.backend_pid for session in report.sessions}
    for event in report.events:
        assert event.backend_pid == pids[event.session]
        assert event.source is None
    waiting = [event for event in report.events if event.kind == "waiting"]
    assert [event.blocked_by for event in waiting] == [("B",), ("A",)]
    assert all(event.lock is not None and "ShareLock on transaction" in event.lock for event in waiting)
    (error,) = (event for event in report.events if event.kind == "error")
    assert (error.sqlstate, error.message) == ("40P01", "deadlock detected")
    assert [event.rows for event in report.events if event.kind == "acquired"] == [1, 1, 1]


def test_time_never_runs_backwards(report: Report) -> None:
    times = [event.at for event in report.events]
    assert times == sorted(times)
    assert times[0] >= 0
    assert report.elapsed >= times[-1]
    for session in report.sessions:
        for statement in session.statements:
            assert statement.finished is not None
            assert 0 <= statement.requested <= statement.finished <= report.elapsed


def test_statements_are_what_was_sent(report: Report) -> None:
    victim, survivor = sorted(report.sessions, key=lambda session: session.outcome, reverse=True)
    steps = [statement.step for statement in survivor.statements]
    assert steps[0] == "BEGIN"
    assert sorted(steps[1:3]) == ["row 1", "row 2"]
    assert steps[3] == "COMMIT"
    assert [statement.waited for statement in survivor.statements] == [False, False, True, False]
    assert survivor.statements[1].sql.endswith("FOR UPDATE")
    assert [statement.sqlstate for statement in victim.statements][2] == "40P01"
    assert victim.statements[-1].step == "ROLLBACK"
    assert "SET LOCAL" in victim.statements[0].sql


def test_server_is_told(report: Report, witness: Connection) -> None:
    assert report.server.version == value(witness, "SHOW server_version").split()[0]
    assert report.server.version_num == witness.info.server_version
    assert report.server.database == witness.info.dbname
    assert report.server.role == witness.info.user
    assert report.server.may_set_deadlock_timeout


def test_explanation_mentions_both_rows_and_the_remedy(report: Report) -> None:
    for words in (
        "A held row 1 and asked for row 2",
        "B held row 2 and asked for row 1",
        f"deadlock_timeout (0.3 s in this run; the server's is {report.server.deadlock_timeout:g} s)",
        f"aborted {report.victims[0]} (40P01)",
        "one order",
    ):
        assert words in report.explanation
    assert report.verdict.startswith("DEADLOCK after ")


def test_scratch_rows_are_in_a_schema_of_their_own_while_it_lasts(dsn: str, witness: Connection) -> None:
    seen = []
    simulate_deadlock(dsn, deadlock_timeout=FAST, on_event=lambda _: seen.append(schemas(witness)))
    assert len(seen[0]) == 1
    assert all(names == seen[0] for names in seen)
    assert schemas(witness) == []


@pytest.mark.parametrize("form", ["keyword/value", "URI"])
def test_dsn_takes_both_forms(form: str, witness: Connection) -> None:
    info = witness.info
    assert info.host
    text = (
        f"host='{info.host}' port={info.port} user={info.user} dbname={info.dbname}"
        if form == "keyword/value"
        else f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"
    )
    if info.password:
        pytest.skip("this server wants a password")
    assert simulate_deadlock(text, deadlock_timeout=FAST).deadlocked


def test_application_names_can_be_found_in_pg_stat_activity(dsn: str, witness: Connection) -> None:
    names: set[str] = set()

    def look(_: object) -> None:
        names.update(row[0] for row in witness.execute("SELECT application_name FROM pg_stat_activity"))

    simulate_deadlock(dsn, deadlock_timeout=FAST, on_event=look)
    assert {"lockstep A", "lockstep B", "lockstep observer"} <= names
