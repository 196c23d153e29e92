"""Many runs: ``--repeat`` and ``--jobs``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from child import Child
from witness import ENDLESS, FAST, NothingLeftHere, nothing_left, schemas, wait_until

from django_lockstep import LockstepError, exceptions
from django_lockstep._core import _repeat_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection

    from django_lockstep import Report
    from django_lockstep.embedded import EmbeddedServer


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_job_keeps_its_backends_from_run_to_run(dsn: str, jobs: int) -> None:
    reports: list[Report] = []
    _repeat_deadlock(dsn, 30, jobs=jobs, on_report=reports.append, deadlock_timeout=FAST, victim="B")
    assert [(report.outcome, report.victims) for report in reports] == [("deadlock", ("B",))] * 30
    backends = {tuple(session.backend_pid for session in report.sessions) for report in reports}
    assert len(backends) <= jobs
    assert len({pid for pids in backends for pid in pids}) == 2 * len(backends)


def test_every_job_keeps_its_scratch_rows(dsn: str, witness: Connection) -> None:
    seen = []
    _repeat_deadlock(
        dsn, 10, on_report=lambda _: seen.extend(schemas(witness)), deadlock_timeout=FAST, sessions=3
    )
    assert len(set(seen)) == 1


def test_a_run_that_is_lost_costs_the_others_nothing(dsn: str, witness: Connection) -> None:
    reports: list[Report] = []

    def end_a_session(report: Report) -> None:
        reports.append(report)
        if len(reports) == 3:
            witness.execute("SELECT pg_terminate_backend(%s)", [report.sessions[0].backend_pid])

    _repeat_deadlock(dsn, 10, on_report=end_a_session, deadlock_timeout=FAST)
    assert len(reports) == 10
    assert [report.outcome for report in reports[-4:]] == ["deadlock"] * 4


def test_what_a_callback_raises_ends_all_jobs(dsn: str) -> None:
    class Enough(Exception):
        pass

    def stop(_: Report) -> None:
        raise Enough

    with pytest.raises(Enough):
        _repeat_deadlock(dsn, 1000, jobs=3, on_report=stop, deadlock_timeout=FAST)


def test_jobs_do_not_share_a_table(dsn: str, table: str) -> None:
    with pytest.raises(exceptions.UsageError, match=r"in each other's way"):
        _repeat_deadlock(dsn, 2, jobs=2, on_report=print, table=table)


def test_jobs_need_connections_for_all_of_them(dsn: str) -> None:
    with pytest.raises(exceptions.Refused, match=r"100 times 2 sessions") as refused:
        _repeat_deadlock(dsn, 100, jobs=100, on_report=print)
    assert refused.value.sqlstate == "53300"


@pytest.mark.parametrize("setting", ["10ms", "300ms"])
def test_jobs_have_their_victim_without_privilege(setting: str, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": setting})
    reports: list[Report] = []
    _repeat_deadlock(dsn, 20, jobs=2, on_report=reports.append, victim="A")
    assert [report.victims for report in reports] == [("A",)] * 20


def test_jobs_on_advisory_locks_do_not_meet(role: MakeRole) -> None:
    reports: list[Report] = []
    _repeat_deadlock(
        role(settings={"deadlock_timeout": "10ms"}), 20, jobs=4, on_report=reports.append, lock="advisory"
    )
    assert [report.outcome for report in reports] == ["deadlock"] * 20
    assert all(set(report.cycle) == {"A", "B"} for report in reports)


def test_the_survivor_goes_on_after_the_victim_also_when_its_own_wait_was_not_looked_at(dsn: str) -> None:
    reports: list[Report] = []
    _repeat_deadlock(dsn, 200, jobs=4, on_report=reports.append, deadlock_timeout=FAST)
    for report in reports:
        kinds = [event.kind for event in report.events]
        last_acquired = len(kinds) - 1 - kinds[::-1].index("acquired")
        assert kinds.index("error") < last_acquired < kinds.index("commit")
        # Who closed the cycle is known by the server's account of it.
        assert kinds.count("waiting") == 2
        assert len(report.cycle) == 2


def test_settings_outlive_the_run_whose_session_was_aborted(dsn: str, witness: Connection) -> None:
    reports: list[Report] = []
    named: list[dict[int, str]] = []

    def look(report: Report) -> None:
        reports.append(report)
        rows = witness.execute("SELECT pid, application_name FROM pg_stat_activity").fetchall()
        named.append(dict(rows))

    _repeat_deadlock(dsn, 50, on_report=look, deadlock_timeout=FAST, victim="A", lock_timeout=7)
    for report, names in zip(reports, named, strict=True):
        assert report.victims == ("A",)
        # The last report may come when they have gone.
        told = {session.name: names.get(session.backend_pid or 0) for session in report.sessions}
        assert report is reports[-1] or told == {"A": "lockstep A", "B": "lockstep B"}
    # What is set already is not set again, and whose backend is known is not asked.
    begun = [session.statements[0].sql for report in reports[1:] for session in report.sessions]
    assert set(begun) == {"BEGIN ISOLATION LEVEL READ COMMITTED"}


def test_every_lap_is_a_whole_report(dsn: str) -> None:
    reports: list[Report] = []
    _repeat_deadlock(dsn, 5, on_report=reports.append, deadlock_timeout=FAST, victim="B")
    told = [[(event.kind, event.session, event.step) for event in report.events] for report in reports]
    assert told == [told[0]] * 5
    for report in reports:
        assert [len(session.statements) for session in report.sessions] == [4, 4]
        assert report.events[0].at < 1
        assert all(report.events[0].at <= event.at <= report.elapsed for event in report.events)


@pytest.mark.parametrize("jobs", [1, 3])
def test_ctrl_c_ends_all_jobs(jobs: int, dsn: str, witness: Connection) -> None:
    code = f"""
    from django_lockstep._core import _repeat_deadlock
    before = len(os.listdir("/proc/self/task"))
    reports = []
    def done(report):
        reports.append(report)
        if len(reports) == 5: say("five")
    try:
        _repeat_deadlock(dsn, 10**9, jobs={jobs}, on_report=done, deadlock_timeout=0.001)
    except KeyboardInterrupt:
        say({{report.outcome for report in reports}} == {{"deadlock"}})
        while len(os.listdir("/proc/self/task")) > before: time.sleep(0.001)
        say("no thread is left")
    """
    with Child(code, dsn) as child:
        child.heard_until("five")
        child.process.send_signal(signal.SIGINT)
        assert child.heard() is True
        assert child.heard() == "no thread is left"
        assert child.ended() == (0, "")
    assert schemas(witness) == []
    nothing_left(witness)


def test_ctrl_c_is_seen_also_when_nothing_of_python_runs_between_reports(
    dsn: str, witness: Connection
) -> None:
    code = """
    from collections import deque
    from django_lockstep._core import _repeat_deadlock
    say("begins")
    try:
        _repeat_deadlock(dsn, 10**9, jobs=4, on_report=deque(maxlen=1).append, deadlock_timeout=0.001)
    except KeyboardInterrupt:
        say("interrupted")
    """
    with Child(code, dsn) as child:
        child.heard_until("begins")
        wait_until(lambda: schemas(witness), "a run to begin")
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "interrupted"
        assert child.ended() == (0, "")
    nothing_left(witness)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_server_that_goes_away_ends_all_jobs(jobs: int, private_server: EmbeddedServer) -> None:
    here = NothingLeftHere()
    reports: list[Report] = []

    def stop(report: Report) -> None:
        reports.append(report)
        if len(reports) == 5:
            private_server.stop()

    with pytest.raises(LockstepError) as failed:
        _repeat_deadlock(private_server.dsn, 10**6, jobs=jobs, on_report=stop, deadlock_timeout=0.001)
    assert isinstance(failed.value, (exceptions.ConnectionFailed, exceptions.ConnectionLost))
    assert [report.outcome for report in reports[:5]] == ["deadlock"] * 5
    here.check()


def test_the_timeout_is_for_each_run(dsn: str) -> None:
    reports: list[Report] = []
    _repeat_deadlock(dsn, 3, on_report=reports.append, deadlock_timeout=1.0, timeout=2.5)
    assert [report.outcome for report in reports] == ["deadlock"] * 3
    _repeat_deadlock(dsn, 2, on_report=reports.append, deadlock_timeout=ENDLESS, timeout=2)
    assert [report.outcome for report in reports[3:]] == ["timeout"] * 2


def test_an_unknown_keyword_is_refused(dsn: str) -> None:
    with pytest.raises(TypeError, match=r"_repeat_deadlock\(\) has no keyword colour"):
        _repeat_deadlock(dsn, 1, on_report=print, colour="red")
