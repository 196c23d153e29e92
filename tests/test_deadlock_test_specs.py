"""``deadlock_test --list``, ``--scenario``, ``--spec`` and ``--matrix`` as users run them."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from witness import nothing_left

from django_lockstep import load_spec, scenarios
from django_lockstep.management.specs import FORMATS, PLAIN_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeRole
    from project import Shop

SPEC = """
session a step one { SELECT current_database() IS NOT NULL AS here; } step two { SELECT 2 AS two; }
permutation one two
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    file = tmp_path / "mine.spec"
    file.write_text(SPEC)
    return str(file)


def test_the_list_names_every_scenario_and_what_it_shows(shop: Shop) -> None:
    done = shop.deadlock_test("--list")
    head, *lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", len(scenarios()))
    assert re.fullmatch(r"SCENARIO +OUTCOME → WITH THE FIX +WHAT HAPPENS", head)
    assert any(
        re.fullmatch(r"s04-deadlock-at-commit +40P01 at COMMIT → none +deferred .*", line) for line in lines
    )
    told = json.loads(shop.deadlock_test("--list", "--format=json").stdout)
    assert [one["name"] for one in told] == [one.name for one in scenarios()]
    assert told[0]["permutations"][0]["expected"]["serializable"]


@pytest.mark.parametrize("columns", [60, 200])
def test_the_list_fits_any_terminal(shop: Shop, columns: int) -> None:
    with shop.on_terminal("--list", columns=columns) as terminal:
        text = terminal.read_all()
    assert max(map(len, text.splitlines())) <= columns
    for one in scenarios():
        assert one.name in text
        assert one.title in " ".join(text.split())
    on_lines_of_their_own = re.search(r"^    deferred foreign keys are checked in", text, re.MULTILINE)
    assert bool(on_lines_of_their_own) == (columns == 60)


def test_the_list_fits_the_terminal(shop: Shop) -> None:
    with shop.on_terminal("--list") as terminal:
        lines = terminal.read_all().splitlines()
    assert max(map(len, lines)) <= 80
    place = next(number for number, line in enumerate(lines) if line.startswith("s04-deadlock-at-commit"))
    assert lines[place + 1].startswith("    deferred foreign keys are checked in COMMIT")


def test_a_scenario_teaches_runs_and_is_judged(shop: Shop) -> None:
    done = shop.deadlock_test("--scenario", "s04-deadlock-at-commit")
    assert (done.returncode, done.stderr) == (0, "")
    title, rest = done.stdout.split("\n\n", 1)
    assert title.startswith("s04-deadlock-at-commit: deferred foreign keys")
    for piece in (
        "Django:\n    with transaction.atomic():\n        project = ",
        "Fix: ",
        "Seen in: WeblateOrg/weblate #5279",
        "PostgreSQL ",
    ):
        assert piece in rest
    assert re.search(r"✗ victim: 40P01 deadlock detected +┊$", rest, re.MULTILINE)
    assert re.search(r"^Permutation 1, the problem: a_locks_project_1 ", rest, re.MULTILINE)
    assert re.search(r"^DEADLOCK after \d\.\d{3} s: 40P01 at COMMIT$", rest, re.MULTILINE)
    assert re.search(r"^Permutation 2, with the fix: a_locks_project_1_no_key ", rest, re.MULTILINE)
    assert re.search(r"^NO DEADLOCK \(\d\.\d{3} s\): none$", rest, re.MULTILINE)
    assert rest.endswith(
        "What came of it, read committed:\n"
        "  1, the problem: 40P01 at COMMIT (as expected)\n"
        "  2, with the fix: none (as expected)\n"
    )


def test_a_scenario_is_shown_while_it_happens(shop: Shop) -> None:
    with shop.on_terminal("--scenario=s01-opposite-order", "--deadlock-timeout=20") as terminal:
        terminal.read_until(r"cycle: A → B → A")
        assert terminal.process.poll() is None
        assert "DEADLOCK after" not in terminal.seen
        terminal.interrupt()
        assert terminal.process.wait(30) == 130


def test_what_is_shown_is_what_is_written(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "out"
    while True:
        shown = shop.deadlock_test("--scenario=s02-select-for-update-order", "--output", str(file), "-v2")
        assert (shown.returncode, shown.stderr) == (0, "")
        if "was run again" not in shown.stdout:  # what was shown live of a first attempt is not written
            break
    assert shown.stdout == f"{file.read_text()}\nWritten: {file}\n"
    assert re.search(r"│ sends a_locks_upwards +│\n .*│ SELECT id FROM account", shown.stdout)


def test_a_scenario_in_other_faces(shop: Shop, tmp_path: Path) -> None:
    report = json.loads(
        shop.deadlock_test("--scenario=write-skew", "--isolation=serializable", "--format=json").stdout
    )
    assert [one["effect"] for one in report["permutations"]] == ["40001 at COMMIT", "40001"]
    tester = shop.deadlock_test("--scenario=write-skew", "--format=isolationtester").stdout
    assert tester.startswith("Parsed test spec with 2 sessions\n\nstarting permutation: a_counts_admins ")
    file = tmp_path / "out"
    shown = shop.deadlock_test("--scenario=write-skew", "--format=isolationtester", "--output", str(file))
    assert "Teaches" not in file.read_text()
    assert file.read_text().startswith("Parsed test spec")
    assert "write-skew: two admins" in shown.stdout
    assert shop.deadlock_test("--scenario=write-skew", "-v0").stdout == ""


def test_a_scenario_as_a_page_and_as_a_diagram(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = shop.deadlock_test("--scenario=s04-deadlock-at-commit", "--format=html", "--output", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    page = file.read_text()
    assert "<h1>s04-deadlock-at-commit: deferred foreign keys" in page
    assert re.search(
        r"<summary><h2 [^>]+>Permutation 1, the problem: DEADLOCK after [\d.]+ s: 40P01 at COMMIT</h2>", page
    )
    assert re.search(r"<summary><h2 [^>]+>Permutation 2, with the fix: NO DEADLOCK", page)
    assert "    project = Project.objects.select_for_update().get(pk=mine)\n" in page
    diagram = shop.deadlock_test("--scenario=s04-deadlock-at-commit", "--format=mermaid")
    assert (diagram.returncode, diagram.stderr) == (0, "")
    assert diagram.stdout.count("sequenceDiagram") == 1
    assert "DEADLOCK" in diagram.stdout
    fixed = shop.deadlock_test("--scenario=s04-deadlock-at-commit", "--format=mermaid", "--permutation=2")
    assert "NO DEADLOCK" in fixed.stdout


def test_one_permutation_of_a_scenario(shop: Shop) -> None:
    done = shop.deadlock_test("--scenario=s04-deadlock-at-commit", "--permutation=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Permutation 1" not in done.stdout
    assert done.stdout.endswith("read committed:\n  2, with the fix: none (as expected)\n")


def test_what_if(shop: Shop) -> None:
    done = shop.deadlock_test("--scenario=s02-select-for-update-order", "--what-if=nowait", "--format=json")
    assert (done.returncode, json.loads(done.stdout)["permutations"][0]["effect"]) == (0, "55P03, 55P03")


def test_what_if_there_is_no_locking_clause(shop: Shop) -> None:
    done = shop.deadlock_test("--scenario=s06-get-or-create-order", "--what-if=nowait")
    assert done.returncode == 2
    assert "No step has a locking clause that this what-if applies to." in done.stderr


def test_a_spec_runs_on_a_database_that_looks_like_a_test_database(shop: Shop, spec: str) -> None:
    name = "suite_specs_test"
    with closing(psycopg.connect(shop.dsn, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            dsn = psycopg.conninfo.make_conninfo(shop.dsn, dbname=name)
            done = shop.deadlock_test("--spec", spec, "--dsn", dsn, "--format=isolationtester")
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == load_spec(SPEC).run(dsn).to_isolationtester()
            done = shop.deadlock_test("--spec", spec, spec, "--dsn", dsn)
            assert done.stdout.count("mine.spec\nPostgreSQL ") == 2
            assert done.stdout.count("\nPermutation 1: one two\n") == 2
            assert re.search(r"^NO DEADLOCK \([\d.]+ s\): none$", done.stdout, re.MULTILINE)
            done = shop.deadlock_test("--spec", spec, spec, "--dsn", dsn, "--format=json")
            assert [one["permutations"][0]["effect"] for one in json.loads(done.stdout)] == ["none", "none"]
            done = shop.deadlock_test("--spec", spec, "--dsn", dsn, "--format=html")
            assert "<h1>mine.spec</h1>" in done.stdout
            done = shop.deadlock_test("--spec", spec, spec, "--dsn", dsn, "--format=html")
            assert (done.returncode, done.stdout) == (2, "")
        finally:
            nothing_left(connection)
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_elsewhere_it_asks_first(shop: Shop, spec: str) -> None:
    asked = shop.deadlock_test("--spec", spec, stdin="y\n")
    assert asked.returncode == 0
    assert re.search(r'on database "\w+", which does not look like a test or scratch database', asked.stderr)
    assert "starting" not in shop.deadlock_test("--spec", spec, "--format=isolationtester", stdin="\n").stdout
    refused = shop.deadlock_test("--spec", spec, stdin="n\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Nothing was run. Answer y, or give --yes-run-sql." in refused.stderr
    silent = shop.deadlock_test("--spec", spec, "--no-input")
    assert (silent.returncode, silent.stdout) == (2, "")
    assert "Name another database, or give --yes-run-sql." in silent.stderr
    assert shop.deadlock_test("--spec", spec, "--no-input", "--yes-run-sql").returncode == 0


def test_what_is_expected_of_a_spec(shop: Shop, spec: str) -> None:
    assert shop.deadlock_test("--spec", spec, "--yes-run-sql", "--expect=no_conflict").returncode == 0
    other = shop.deadlock_test("--spec", spec, "--yes-run-sql", "--expect=deadlock")
    assert other.returncode == 3
    assert "Expected deadlock of mine.spec, but the outcomes were no_conflict." in other.stderr


def test_a_spec_that_is_given_up(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "fails.spec"
    file.write_text("setup { SELECT 1/0; } " + SPEC)
    done = shop.deadlock_test("--spec", str(file), "--yes-run-sql", "--format=isolationtester")
    assert done.returncode == 3
    assert done.stdout.endswith("setup failed: ERROR:  division by zero\n")
    assert "fails.spec was given up: setup failed" in done.stderr


def test_a_setup_that_fails_is_an_error_that_is_told_once(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "fails.spec"
    file.write_text("setup { SELECT 1/0; } " + SPEC)
    done = shop.deadlock_test("--spec", str(file), "--yes-run-sql")
    assert done.returncode == 3
    assert re.search(r"^GIVEN UP after [\d.]+ s: not run\n\nNo step was run\.$", done.stdout, re.MULTILINE)
    assert "NO DEADLOCK" not in done.stdout
    assert done.stdout.endswith("GIVEN UP: setup failed: ERROR:  division by zero\n")
    assert (done.stdout + done.stderr).count("division by zero") == 1
    assert done.stderr == "CommandError: fails.spec was given up.\n"
    told = json.loads(shop.deadlock_test("--spec", str(file), "--yes-run-sql", "--format=json").stdout)
    (permutation,) = told["permutations"]
    assert (permutation["effect"], permutation["report"]["outcome"]) == ("not run", "error")


def test_steps_that_block_each_other_are_given_up_and_not_no_deadlock(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "mutual.spec"
    file.write_text("session a step one {} session b step two {} permutation one(*, two) two(one)")
    done = shop.deadlock_test("--spec", str(file), "--yes-run-sql")
    assert done.returncode == 3
    assert re.search(r"^GIVEN UP after [\d.]+ s: none$", done.stdout, re.MULTILINE)


def test_a_spec_that_goes_on_says_what_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "hangs.spec"
    file.write_text(
        "setup { SELECT pg_sleep(2.2); }\n"
        "session a setup { SELECT pg_sleep(2.2); } step takes { SELECT pg_advisory_lock(1); }\n"
        "session b step wants { SELECT pg_advisory_lock(1); } step more { SELECT 1; } permutation takes wants more"
    )
    with shop.on_terminal("--spec", str(file), "--yes-run-sql", PG_TEST_TIMEOUT_DEFAULT="300") as terminal:
        terminal.read_until(r"The setup has not ended; it is given up with the whole run")
        terminal.read_until(
            r"The setup of session a has not ended; it is given up when it has lasted 1200 s\."
        )
        terminal.read_until(
            r"Step wants of session b has not ended; it is\s+cancelled when it has lasted 600 s\."
        )
        terminal.interrupt()
        assert terminal.process.wait(30) == 130


def test_a_spec_in_a_scratch_schema(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "own.spec"
    file.write_text(
        "setup { CREATE TABLE shop_item (); } session a step where { SELECT current_schema() ~ '^lockstep_' AS mine; }"
    )
    plain = shop.deadlock_test("--spec", str(file), "--yes-run-sql")
    assert (plain.returncode, "already exists" in plain.stdout) == (3, True)
    done = shop.deadlock_test(
        "--spec",
        str(file),
        "--yes-run-sql",
        "--scratch",
        "--deadlock-timeout=0.1",
        "--format=isolationtester",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^mine\n----\nt   $", done.stdout, re.MULTILINE)
    silent = shop.deadlock_test("--spec", str(file), "--no-input", "--scratch")
    assert (silent.returncode, silent.stdout) == (2, "")


def test_the_help_says_what_each_mode_has(shop: Shop) -> None:
    text = " ".join(shop.deadlock_test("--help", COLUMNS="500").stdout.split())
    for mode, forms in {**FORMATS, "repeat": ("text", "json")}.items():
        assert f"--{mode}: {', '.join(forms)}" in text
    assert f"A deadlock, a log: {', '.join(PLAIN_FORMATS)};" in text
    assert "(default: deadlock); with --spec, of some permutation of each file (default: any" in text
    assert "2 the SQL of each step as well" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--scenario=s04"], "There is no scenario 's04'. Did you mean s04-deadlock-at-commit?"),
        (
            ["--scenario=write-skew", "--rows", "1", "2"],
            "--scenario does not go with --rows. Leave out --rows.",
        ),
        (["--list", "--isolation=serializable"], "--list does not go with --isolation"),
        (["--scenario=write-skew", "--list"], "not allowed with argument"),
        (
            ["--scenario=write-skew", "--format=markdown"],
            "There is no markdown of --scenario, only of --matrix. Give one of text, json",
        ),
        (["--what-if=nowait"], "--what-if goes with --scenario"),
        (["--permutation=1"], "--permutation goes with --scenario"),
        (
            ["--scenario=write-skew", "--permutation=9"],
            "There is no permutation 9 of write-skew. Give a number from 1 to",
        ),
        (["--scenario=write-skew", "--from-log=x"], "--scenario does not go with --from-log"),
        (["--scenario=s01-opposite-order", "--what-if=magic"], "invalid choice: 'magic'"),
        (["--spec", "/nowhere.spec"], "Cannot read /nowhere.spec: No such file or directory"),
        (
            ["--format=isolationtester"],
            "There is no isolationtester of a plain deadlock, or of a log, only of --scenario and --spec.",
        ),
        (
            ["--list", "--format=html"],
            "There is no html of --list, only of --scenario and --spec and --matrix.",
        ),
        (["--scratch"], "--scratch goes with --spec. Name a spec as well."),
        (["--scenario=write-skew", "--scratch"], "--scenario does not go with --scratch"),
        (["--spec", "x.spec", "--deadlock-timeout=1"], "--spec does not go with --deadlock-timeout"),
        (["--matrix", "nothing"], "There is no scenario 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_refused(shop: Shop, arguments: list[str], sentence: str) -> None:
    done = shop.deadlock_test(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_the_matrix_of_some_scenarios(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "matrix.md"
    done = shop.deadlock_test(
        "--matrix", "s02-select-for-update-order", "--format=markdown", "--output", str(file)
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split(" | ") for line in file.read_text().splitlines() if line.startswith("| `s02")]
    assert [row[1] for row in rows] == ["read committed", "repeatable read", "serializable"]
    effects = [re.sub(r", \d+ ms( \|)?$", "", cell) for cell in rows[0][2:]]
    assert effects == ["40P01", "40P01", "55P03, 55P03", "none", "55P03, 55P03"]
    assert "as it is" in done.stdout
    assert len(re.findall(r"PostgreSQL \d", done.stdout)) == 1
    told = json.loads(shop.deadlock_test("--matrix", "s06-get-or-create-order", "--format=json").stdout)
    assert told["columns"] == ["as it is", "no_key", "nowait", "skip_locked", "lock_timeout"]
    assert told["rows"][0]["cells"][1] == {"effect": None, "elapsed": None, "why": "no clause"}
    assert told["rows"][0]["cells"][0]["elapsed"] > 0


def test_what_a_role_may_not_do_is_said(shop: Shop, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create)
    done = shop.deadlock_test("--scenario=s12-two-migrations", "--dsn", dsn)
    assert done.returncode == 0
    assert "may not set deadlock_timeout: each deadlock takes" in done.stdout.split("PostgreSQL ")[0]
    assert str(conninfo_to_dict(dsn)["password"]) not in done.stdout + done.stderr
    refused = shop.deadlock_test("--scenario=s12-two-migrations", "--dsn", role())
    assert refused.returncode == 1
    assert "may not make a scratch schema" in refused.stderr
    assert "s12-two-migrations: two replicas" in refused.stdout
