"""What an exploration says: its verdict, its notes, and the line that replays a finding."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, transaction
from orm.models import Account, Tag

from django_lockstep.testing import Exploration, Finding, explore, run_together

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def accounts() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])


def deposit() -> None:
    account = Account.objects.get(pk=1)
    account.balance += 10
    account.save()


def locks(*keys: int) -> None:
    with transaction.atomic():
        for key in keys:
            Account.objects.select_for_update().get(pk=key)


def has_120() -> bool:
    return bool(Account.objects.get(pk=1).balance == 120)


def pasted(line: str) -> str:
    """Return the schedule that a pasted line gives to ``explore``."""
    only: str = eval(f"dict({line})", {})["only"]
    return only


def lines_to_paste(result: Exploration, width: int) -> list[str]:
    return [
        line.strip() for line in result.to_text(0, width).splitlines() if line.strip().startswith("only=")
    ]


def test_the_verdict_is_what_was_found_in_every_face() -> None:
    result = explore(deposit, deposit, setup=accounts)
    assert result.verdict.startswith("LOST UPDATE: 4 schedules, all that can differ (")
    faces = (
        result.to_text(),
        str(result.findings[0]),
        result.to_html(),
        result.to_markdown(),
        result.to_mermaid(),
        result.to_json(),
    )
    for face in faces:
        assert "LOST UPDATE" in face
    for face in faces[:-1]:  # the JSON has the report of the run as it is
        assert "no deadlock" not in face.lower(), face
    told = result.to_dict()
    assert told["verdict"] == result.verdict
    assert told["findings"][0]["verdict"].startswith("LOST UPDATE (")


def test_several_of_a_kind_are_counted() -> None:
    def add() -> None:
        Tag.objects.create(name="new")

    result = explore(add, add, setup=accounts)
    assert [finding.kind for finding in result.findings] == ["exception", "exception"]
    assert result.verdict.startswith("2 EXCEPTIONS: ")
    assert "exist.." not in str(result)


def test_nothing_found_says_in_how_many_schedules() -> None:
    result = explore(lambda: locks(1), lambda: locks(1), setup=accounts)
    assert result.verdict.startswith("NOTHING FOUND in 4 schedules, all that can differ (")
    assert result.notes == ()


def test_a_run_that_shows_two_findings_is_drawn_once() -> None:
    result = explore(deposit, deposit, setup=accounts, invariant=has_120)
    assert [finding.kind for finding in result.findings] == ["violation", "lost_update"]
    assert result.findings[0].schedule == result.findings[1].schedule
    text = result.to_text()
    assert "VIOLATION (" in text
    assert "LOST UPDATE (" in text
    assert text.count("PostgreSQL 1") == 1
    for face in (text, result.to_html(), result.to_markdown()):
        assert "The run is that of" in face
    assert result.to_markdown().count("```mermaid") == 1
    assert result.to_html().count('<svg class="lanes') == 1
    assert result.to_mermaid().count("the run of finding 1") == 1


def test_a_lock_outside_a_transaction_is_drawn_to_the_end_of_its_statement() -> None:
    page = explore(deposit, deposit, setup=accounts).to_html()
    heights = [int(height) for height in re.findall(r'<rect class="bar held"[^>]* height="(\d+)"', page)]
    assert heights == [10, 10]


def test_a_long_name_is_whole_in_the_pictures() -> None:
    def transfer_from_one_to_two() -> None:
        locks(1, 2)

    def transfer_back_again() -> None:
        locks(2, 1)

    page = explore(transfer_from_one_to_two, transfer_back_again, setup=accounts).to_html()
    lanes, graph = (
        re.findall(rf'<svg class="{which}.*?</svg>', page, re.DOTALL)[0] for which in ("lanes", "graph")
    )
    for name in ("transfer_from_one_to_two", "transfer_back_again"):
        assert f">{name}</text>" in lanes
        assert name in re.sub(r"<[^>]+>|\s", "", graph)
    assert ">SELECT FOR UPDATE orm_account</text>" in graph


@pytest.mark.parametrize("width", [20, 60, 100])
def test_the_line_to_paste_is_never_wrapped(width: int) -> None:
    def many() -> None:
        with transaction.atomic():
            for _ in range(20):
                Account.objects.select_for_update().get(pk=2)
        deposit()

    accounts()
    schedule = " ".join("A B" for _ in range(60))
    found = Finding("lost_update", "a long one", schedule, 1, run_together(many, many), 1)
    assert pasted(lines_to_paste(Exploration((found,), schedules=1), width)[0]) == schedule
    assert pasted(str(found).splitlines()[2]) == schedule


def test_a_schedule_with_a_row_is_pasted_as_it_is() -> None:
    def lock(order: str) -> None:
        with transaction.atomic():
            list(Account.objects.order_by(order).select_for_update())

    result = explore(lambda: lock("pk"), lambda: lock("-pk"), setup=accounts)
    assert [finding.kind for finding in result.findings] == ["deadlock"]
    line = lines_to_paste(result, 40)[0]
    again = explore(lambda: lock("pk"), lambda: lock("-pk"), setup=accounts, only=pasted(line))
    assert again.deadlocks
    # The gate is no code of the user's.
    assert "row_gate" not in result.to_text(3)
    odd = Finding("deadlock", "it", 'lock:t:{"name":"a\\u0020\'b"} A B free', 1, result.findings[0].report, 1)
    assert pasted(lines_to_paste(Exploration((odd,)), 40)[0]) == odd.schedule


def test_an_order_is_advised_once() -> None:
    def lock() -> None:
        with transaction.atomic():
            list(Account.objects.order_by("-pk").select_for_update())

    def update() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orm_account SET balance = v.n FROM (VALUES (1, 1), (2, 2)) v(id, n) WHERE orm_account.id = v.id"
            )

    result = explore(lock, update, setup=accounts)
    assert result.deadlocks, str(result)
    assert result.deadlocks[0].report.explanation.count("in one order everywhere") == 1


def test_what_nobody_waited_for_is_told_as_far_as_it_is_known() -> None:
    def notes(function: Callable[[], object], **keywords: Any) -> str:
        return " ".join(explore(function, function, setup=accounts, **keywords).notes)

    def takes_what_is_free() -> None:
        with transaction.atomic():
            Account.objects.select_for_update(skip_locked=True).filter(pk=1).first()

    def reads() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).first()

    assert notes(reads, max_schedules=0) == "No schedule was run, so nothing is known."
    assert "what was not run may be another matter" in notes(deposit, max_schedules=1)
    assert "outside atomic()" in notes(deposit)
    assert "does not wait" in notes(takes_what_is_free)
    assert notes(reads).endswith("None of them ever asked for a lock that another one held.")
    assert "asked for a lock that another" not in notes(takes_what_is_free) + notes(deposit)


def test_that_lost_updates_of_five_are_not_looked_for_is_told() -> None:
    def reads() -> None:
        Account.objects.get(pk=1)

    five = explore(*[reads] * 5, setup=accounts)
    assert any("more than four functions" in note for note in five.notes)
    assert not any("more than four" in note for note in explore(*[reads] * 4, setup=accounts).notes)


def test_a_bug_in_the_handler_of_a_deadlock_is_found_as_well() -> None:
    def retries() -> None:
        try:
            locks(1, 2)
        except OperationalError:
            raise NameError("a bug of its own")  # noqa: B904

    result = explore(retries, lambda: locks(2, 1), setup=accounts)
    assert [finding.kind for finding in result.findings] == ["deadlock", "exception"], str(result)
    assert "NameError: a bug of its own" in result.findings[1].about
    assert result.verdict.startswith("DEADLOCK, EXCEPTION: ")


def test_a_handler_that_goes_on_in_the_aborted_transaction_is_found() -> None:
    def goes_on() -> None:
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=1)
            try:
                Account.objects.select_for_update().get(pk=2)
            except OperationalError:
                Account.objects.select_for_update().get(pk=2)

    result = explore(goes_on, lambda: locks(2, 1), setup=accounts)
    assert [finding.kind for finding in result.findings] == ["deadlock", "exception"], str(result)


def test_the_abort_itself_is_told_as_what_it_is_only() -> None:
    result = explore(lambda: locks(1, 2), lambda: locks(2, 1), setup=accounts)
    assert [finding.kind for finding in result.findings] == ["deadlock"]


def test_a_retry_that_works_leaves_the_deadlock_alone() -> None:
    """As ``docs/explore.md`` says: the retry goes around the transaction, and the function comes to its end."""

    def retries() -> None:
        try:
            locks(1, 2)
        except OperationalError:
            locks(1, 2)

    result = explore(retries, lambda: locks(2, 1), setup=accounts)
    assert {finding.kind for finding in result.findings} == {"deadlock"}, str(result)


def test_a_violation_that_takes_no_race_says_so() -> None:
    def broken() -> None:
        raise ValueError("never right at " + hex(id(object())))

    findings = explore(deposit, deposit, setup=accounts, invariant=broken).findings
    (found,) = [finding for finding in findings if finding.kind == "violation"]
    told = r"the invariant raised ValueError: never right at 0x\w+ \(at tests/test_explore_told.py:\d+\); so it is with"
    assert re.fullmatch(f"{told} one after the other: no race", found.about)


def test_rows_that_are_there_twice_are_counted() -> None:
    def get_or_create() -> None:
        if not Account.objects.filter(balance=7).exists():
            Account.objects.create(balance=7)

    (found,) = explore(get_or_create, get_or_create).findings
    assert found.about == "orm_account: 2 rows (balance = 7) are left; one after the other leaves 1"


def test_a_choice_that_shows_only_when_a_finding_is_confirmed() -> None:
    calls = itertools.count()

    def unsteady() -> None:
        account = Account.objects.get(pk=2 if next(calls) == 5 else 1)
        account.balance += 5
        account.save()

    # The sixth call is in the run that is to confirm the lost update: the search is begun anew, and does not forget it.
    result = explore(unsteady, deposit, setup=accounts)
    assert {finding.kind for finding in result.findings} == {"lost_update"}
    assert next(calls) > 6


def test_a_transaction_that_is_left_open_is_told_as_rolled_back() -> None:
    def left_open() -> None:
        transaction.set_autocommit(False)
        Account.objects.filter(pk=1).update(balance=5)

    accounts()
    report = run_together(left_open, lambda: Account.objects.count())
    assert report.sessions[0].outcome == "rolled_back"
    assert any("left_open left its transaction open" in note for note in report.notes)
    assert Account.objects.get(pk=1).balance != 5
