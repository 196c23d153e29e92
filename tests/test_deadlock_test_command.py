"""``manage.py deadlock_test`` as users run it: a process, what it tells, and its exit status."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest
from project import DATABASE, SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from project import Shop

SGR = "\x1b["
EVENT = re.compile(r" +\d+\.\d{3} s (.*)")


def undrawn(text: str) -> str:
    """Return the words alone, without the columns that they stand in."""
    return " ".join(re.sub("[┌├└┤│┊┼─╌▶◀✗]", " ", text).split())


def test_a_deadlock_is_told_from_its_heading_to_its_reason(shop: Shop) -> None:
    done = shop.deadlock_test()
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert re.fullmatch(
        rf"PostgreSQL [\d.]+.*, database {DATABASE}, role \w+, deadlock_timeout 0\.03 s", heading
    )
    assert re.fullmatch(" {12}A +B", lines[1])
    events = [undrawn(match[1]) for line in lines if (match := EVENT.fullmatch(line))]
    assert events[4:7] == [
        "waits for row 2, held by B",
        "waits for row 1, held by A",
        "victim: 40P01 deadlock detected",
    ]
    assert re.search(
        r"\n\nDEADLOCK after 0\.\d+ s: PostgreSQL aborted A \(40P01\); the cycle: A → B → A\n\nA held row 1",
        done.stdout,
    )
    assert "SQLSTATE 40P01" in done.stdout
    assert SGR not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "status", "outcome"),
    [
        (["--lock=share"], 3, "no_conflict"),
        (["--lock=share", "--expect=no_conflict"], 0, "no_conflict"),
        (["--lock-timeout=0.01"], 3, "lock_timeout"),
        (["--lock-timeout=0.01", "--expect=lock_timeout"], 0, "lock_timeout"),
        (["--statement-timeout=0.01", "--expect=statement_timeout"], 0, "statement_timeout"),
        (["--expect=lock_timeout"], 3, "deadlock"),
        (["--lock=advisory"], 0, "deadlock"),
        (["--lock=no key update", "--isolation=serializable"], 0, "deadlock"),
        (["--timeout=0.5", "--deadlock-timeout=30"], 3, "timeout"),
    ],
)
def test_the_exit_status_says_whether_the_expected_happened(
    shop: Shop, arguments: list[str], status: int, outcome: str
) -> None:
    done = shop.deadlock_test("--format=json", *arguments)
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (status, outcome)
    assert bool(done.stderr) == (status != 0)


@pytest.mark.parametrize("victim", ["A", "B"])
def test_the_victim(shop: Shop, victim: str) -> None:
    assert json.loads(shop.deadlock_test("--format=json", "--victim", victim).stdout)["victims"] == [victim]


def test_a_ring(shop: Shop) -> None:
    done = shop.deadlock_test("--sessions=5", "--rows", "10", "-20", "30", "0", "50")
    assert done.returncode == 0
    assert "the cycle: A → B → C → D → E → A" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rows", "1"], "two"),
        (["--rows", "1", "1"], "distinct|twice|more than once"),
        (["--rows", "a", "b"], "invalid int value: 'a'"),
        (["--rows"], "expected at least one argument"),
        (["--sleep", "-1"], "sleep"),
        (["--sleep", "nan"], "sleep"),
        (["--timeout", "0"], "timeout"),
        (["--sessions", "1"], "sessions"),
        (["--victim", "Z"], "Z"),
        (["--lock", "gently"], "invalid choice: 'gently'"),
        (["--expect", "victory"], "invalid choice: 'victory'"),
        (["--repeat", "0"], "argument --repeat: '0' is not a whole number of 1 or more"),
        (["--repeat=2", "--jobs=0"], "argument --jobs: '0' is not a whole number of 1 or more"),
        (
            ["--jobs=2"],
            "--jobs are runs at once on scratch rows; one run, or a table of yours, is for one job",
        ),
        (
            ["--repeat=2", "--jobs=2", "--model=shop.Item", "--no-input"],
            "Leave --jobs out, or give --repeat and no --model",
        ),
        (["--repeat", "x"], "argument --repeat: 'x' is not a whole number of 1 or more"),
        (["--database", "nope"], "invalid choice: 'nope'"),
        (["--database", "default", "--dsn", "dbname=x"], "not allowed with argument"),
        (["--model", "shop.Item", "--dsn", "dbname=x"], "--model goes with the project's own database"),
        (["--model", "shop.Nothing"], 'There is no model "shop.Nothing". Name one that is installed'),
        (["--model", "nonsense"], 'There is no model "nonsense"'),
        (
            ["--model", "shop.Idea"],
            'There is no model "shop.Idea". Name one that is installed and not abstract',
        ),
        (["--model", "shop.Swapped"], r"shop.Swapped is swapped for shop.Item, .* Name shop.Item\."),
        (["--model", "shop.Coded"], "The primary key of shop.Coded is a CharField"),
        (["--model", "shop.Paired"], "The primary key of shop.Paired is a CompositePrimaryKey"),
        (
            ["--model", "shop.Item", "--rows", "1", "8", "--no-input"],
            "There is no row 8 of shop_item: give ids",
        ),
        (["--model", "shop.Item", "--rows", "8", "9", "--no-input", "--repeat=3"], "no row 8 .* no row 9 of"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_to_do(shop: Shop, arguments: list[str], sentence: str) -> None:
    done = shop.deadlock_test(*arguments)
    assert (done.returncode, done.stdout if "no row" not in sentence else "") == (2, "")
    assert re.search(sentence, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--database", "lite"],
            r"is SQLite \(django.db.backends.sqlite3\), and only PostgreSQL will do. .* --embedded",
        ),
        (
            ["--database", "mysql"],
            'The ENGINE of database alias "mysql" cannot be loaded. Install its driver.*\nThe reason: .*MySQL',
        ),
        (["--database", "nameless"], 'alias "nameless" has no ENGINE, and only PostgreSQL will do'),
        (["--database", "locked_out"], r"SQLSTATE 28"),
        (["--database", "unknown"], r"SQLSTATE 3D000"),
        (
            ["--database", "unreachable"],
            r"No server is listening at 127.0.0.1 port 1.*\n.*Connection refused$",
        ),
        (["--dsn", "nonsense"], r"nonsense"),
        (
            ["--model", "shop.Phantom", "--no-input"],
            r"no table \"shop_phantom\".* migrate.*\n\(SQLSTATE 42P01\)",
        ),
        (["--model", "shop.Window", "--no-input"], r"is a view.*\n\(SQLSTATE 42809\)"),
        (["--model", "shop.Elsewhere", "--no-input"], r"no table \"shop_elsewhere\""),
        (["--sessions", "2000"], r"2000 sessions .*max_connections"),
    ],
)
def test_what_the_server_or_the_settings_do_not_allow_is_status_1(
    shop: Shop, arguments: list[str], sentence: str
) -> None:
    done = shop.deadlock_test(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(sentence, done.stderr.strip(), re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "more", [[], ["--traceback"], ["-v3"], ["--format=json"], ["--sleep=nan"], ["--repeat=2"]]
)
@pytest.mark.parametrize("alias", ["locked_out", "unreachable"])
def test_a_password_is_never_printed(shop: Shop, alias: str, more: list[str]) -> None:
    done = shop.deadlock_test("--database", alias, *more)
    assert done.returncode in {1, 2}
    assert SECRET not in done.stdout + done.stderr
    uri = shop.deadlock_test("--dsn", f"postgresql://me:{SECRET}@127.0.0.1:1/x?sslmode=wrong", *more)
    assert uri.returncode in {1, 2}
    assert SECRET not in uri.stdout + uri.stderr


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("shop.Item", "shop_item"),
        ("shop.Proxied", "shop_item"),
        ("shop.Special", "shop_special"),
        ("shop.Wrapped", "shop_wrapped"),
        ("shop.Odd", "Odd table; --"),
        ("shop.Shelf", "shelf"),
    ],
)
def test_real_rows(shop: Shop, model: str, name: str) -> None:
    done = shop.deadlock_test("--model", model, "--rows", "3", "1", "--no-input")
    assert done.returncode == 0, done.stderr
    assert f"waits for row 1 of {name}, held by B" in undrawn(done.stdout)


def test_real_rows_are_asked_about(shop: Shop) -> None:
    model = ["--model", "shop.Item", "--format=json"]
    for answer in ("y\n", "YES\n"):
        done = shop.deadlock_test(*model, stdin=answer)
        assert done.returncode == 0
        assert 'This locks rows of table "shop_item"' in done.stderr
        assert json.loads(done.stdout)["deadlocked"]
    for answer in ("n\n", "\n", ""):
        done = shop.deadlock_test(*model, stdin=answer)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Nothing was done. Answer y, or give --no-input." in done.stderr


def test_many_runs_are_summarized(shop: Shop) -> None:
    done = shop.deadlock_test("--repeat=20", "--victim=B")
    assert (done.returncode, done.stderr) == (0, "")
    heading, empty, runs, victims, seconds = done.stdout.splitlines()[:5]
    assert heading.startswith("PostgreSQL ")
    assert (empty, runs, victims) == ("", "20 deadlocks in 20 runs", "victims: B 20")
    times = re.fullmatch(r"seconds: min (0\.\d+), median (0\.\d+), max (\d\.\d+)", seconds)
    assert times
    assert list(map(float, times.groups())) == sorted(map(float, times.groups()))


def test_two_hundred_runs_are_two_hundred_deadlocks(shop: Shop) -> None:
    summary = json.loads(
        shop.deadlock_test("--repeat=200", "--format=json", "--deadlock-timeout=0.01").stdout
    )
    assert (summary["runs"], summary["outcomes"]) == (200, {"deadlock": 200})


def test_jobs_share_the_runs(shop: Shop) -> None:
    done = shop.deadlock_test(
        "--repeat=50", "--jobs=4", "--victim=B", "--format=json", "--deadlock-timeout=0.01"
    )
    summary = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (summary["wanted"], summary["runs"]) == (50, 50)
    assert (summary["outcomes"], summary["victims"]) == ({"deadlock": 50}, {"B": 50})


def test_more_jobs_than_runs_are_as_many_as_runs(shop: Shop) -> None:
    assert "\n2 deadlocks in 2 runs\n" in shop.deadlock_test("--repeat=2", "--jobs=900").stdout


def test_one_unexpected_run_of_many_is_status_3(shop: Shop) -> None:
    done = shop.deadlock_test("--repeat=3", "--lock=share")
    assert done.returncode == 3
    assert "0 deadlocks in 3 runs\n  3 × no_conflict\nseconds:" in done.stdout
    assert "Expected deadlock every time, but it came 0 times in 3 runs. No deadlock, because" in done.stderr


def test_ctrl_c_rolls_everything_back(shop: Shop) -> None:
    with shop.started("--sleep=50", "--timeout=60") as process:
        assert process.stdout
        while "locks row 2" not in (line := process.stdout.readline()):
            assert line
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - pressed < 2
        assert process.returncode == 130
    assert errors.strip() == "Interrupted: Nothing is left on the server."


def test_ctrl_c_in_many_runs_shows_what_was_done(shop: Shop) -> None:
    with shop.on_terminal("--repeat=100000") as terminal:
        terminal.read_until(r"[2-9] deadlocks")
        terminal.interrupt()
        text = terminal.read_all()
        assert terminal.process.returncode == 130
    assert re.search(r"\n\d+ deadlocks in \d+ of 100000 runs\nvictims: A \d+\nseconds: min", text), text
    assert "Interrupted: Nothing is left on the server." in text


def test_a_dsn_instead_of_an_alias(shop: Shop) -> None:
    done = shop.deadlock_test("--dsn", shop.dsn)
    assert done.returncode == 0
    assert f"database {DATABASE}," in done.stdout


def test_an_embedded_server_for_a_project_that_has_none(shop: Shop) -> None:
    lite = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    for databases in (lite, {}):
        done = shop.deadlock_test(
            "--embedded", "--deadlock-timeout=0.02", SHOP_DATABASES=json.dumps(databases)
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "DEADLOCK after" in done.stdout
    refused = shop.deadlock_test(SHOP_DATABASES=json.dumps(lite))
    assert refused.returncode == 1
    assert "see a deadlock without any server: deadlock_test --embedded" in refused.stderr


def test_checks_may_be_skipped(shop: Shop) -> None:
    assert shop.deadlock_test("--skip-checks", "-v0").returncode == 0


def test_psycopg2_will_do(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['psycopg'] = None\n", encoding="utf-8"
    )
    done = shop.deadlock_test("--model=shop.Item", "--no-input", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    driver = "from django.db.backends.postgresql.psycopg_any import is_psycopg3; print(is_psycopg3)"
    assert shop.manage("shell", "-v0", "-c", driver, PYTHONPATH=str(tmp_path)).stdout.strip() == "False"


@pytest.mark.parametrize("arguments", [[], ["--parallel=2"]])
def test_it_works_in_a_projects_own_tests(shop: Shop, arguments: list[str]) -> None:
    databases = {alias: shop.databases[alias] for alias in ("default", "other", "lite")}
    done = shop.manage("test", "shop", "--no-input", *arguments, SHOP_DATABASES=json.dumps(databases))
    assert done.returncode == 0, done.stderr
    assert re.search(r"\nOK\n", done.stderr)


def test_help(shop: Shop) -> None:
    done = shop.deadlock_test("--help")
    assert done.returncode == 0
    for option in (
        "--database",
        "--dsn",
        "--embedded",
        "--rows",
        "--sessions",
        "--sleep",
        "--model",
        "--no-input",
    ):
        assert option in done.stdout
