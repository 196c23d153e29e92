"""Where ``manage.py deadlock_test`` writes, and in which form: faces, files, terminals, encodings."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from django_lockstep import scenarios
from django_lockstep._core import read_log

if TYPE_CHECKING:
    from project import Shop

SGR = "\x1b["


def test_a_full_disk_is_told(shop: Shop) -> None:
    result = shop.deadlock_test("--format", "json", "--output", "/dev/full")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("CommandError: Cannot write /dev/full: No space left on device.")


def test_the_verbosity(shop: Shop) -> None:
    silent, plain, statements, locks = (shop.deadlock_test(f"-v{number}").stdout for number in range(4))
    assert silent == ""
    assert "asks for" not in plain
    assert "FOR UPDATE" in statements
    assert "ShareLock on transaction" not in statements.split("DEADLOCK")[0]
    assert re.search(r"\[ShareLock on[^\]]*transaction \d+\]", locks)  # it may be wrapped within its column


@pytest.mark.parametrize(
    ("form", "beginning"), [("mermaid", "sequenceDiagram\n"), ("html", "<!DOCTYPE html>\n")]
)
def test_a_face_is_alone_on_standard_output(shop: Shop, tmp_path: Path, form: str, beginning: str) -> None:
    done = shop.deadlock_test("--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(beginning)
    assert "aborted A" in done.stdout
    file = tmp_path / "deadlock"
    assert "DEADLOCK after" in shop.deadlock_test("--format", form, "--output", str(file)).stdout
    assert file.read_text(encoding="utf-8").startswith(beginning)


@pytest.mark.parametrize("verbosity", ["0", "1"])
def test_json_is_alone_on_standard_output(shop: Shop, verbosity: str) -> None:
    done = shop.deadlock_test("--format=json", "-v", verbosity)
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (report["outcome"], report["victims"]) == ("deadlock", ["A"])


def test_the_result_in_a_file(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "a report"
    shown = shop.deadlock_test("--output", str(file)).stdout
    assert file.read_text(encoding="utf-8") + f"\nWritten: {file}\n" == shown
    assert "DEADLOCK after" in shop.deadlock_test("--output", str(file), "--format=json").stdout
    assert json.loads(file.read_text(encoding="utf-8"))["deadlocked"]
    assert shop.deadlock_test("--output", str(file), "--format=json", "--repeat=2", "-v0").stdout == ""
    assert json.loads(file.read_text(encoding="utf-8"))["outcomes"] == {"deadlock": 2}


def test_that_a_file_was_written_is_told_only_if_it_was(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = shop.deadlock_test("--format=html", "--output", str(file), "--expect=no_conflict")
    assert (done.returncode, done.stdout.count(f"Written: {file}\n")) == (3, 1)
    refused = shop.deadlock_test("--format=html", "--output", str(file), "--sessions=1")
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.parametrize("more", [(), ("--list",), ("--from-log=-",), ("--matrix", "--format=html")])
def test_a_file_without_a_name_is_refused(shop: Shop, more: tuple[str, ...]) -> None:
    done = shop.deadlock_test("--output", "", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--output '' names no file. Give the name of a file, or leave it out" in done.stderr


def test_a_file_that_cannot_be_written_is_told_before_anything_is_run(shop: Shop, tmp_path: Path) -> None:
    done = shop.deadlock_test("--output", str(tmp_path / "no" / "file"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory. Give another file as --output." in done.stderr


def test_a_full_disk_is_told_in_a_sentence(shop: Shop) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            shop.command("deadlock_test"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=shop.folder,
            env=shop.environment(),
            check=False,
        )
    assert done.returncode == 1
    sentence = (
        "Cannot write to standard output: No space left on device. Give another place, or --output FILE."
    )
    assert done.stderr.strip() == f"CommandError: {sentence}"


def test_a_reader_who_has_gone_changes_nothing(shop: Shop) -> None:
    for arguments, status in (([], 0), (["--lock=share"], 3)):
        with shop.started("--sleep=0.2", *arguments) as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline().startswith("PostgreSQL ")
            process.stdout.close()
            process.stdout = None
            errors = process.stderr.read()
            assert process.wait(30) == status
            assert "Broken" not in errors
            assert bool(errors) == (status != 0)


def test_colours_are_for_terminals(shop: Shop) -> None:
    def on_terminal(*arguments: str, colors: str = "") -> str:
        with shop.on_terminal(*arguments, DJANGO_COLORS=colors) as terminal:
            text = terminal.read_all()
            assert terminal.process.returncode == 0
            return text

    assert re.search(r"\x1b\[[\d;]+m[^\n]*40P01 deadlock detected\x1b\[0m", on_terminal())
    assert SGR not in on_terminal("--no-color")
    assert SGR not in on_terminal(colors="nocolor")
    assert SGR not in on_terminal("--format=json")
    assert SGR in shop.deadlock_test("--force-color").stdout
    assert SGR in shop.deadlock_test("--force-color", NO_COLOR="1").stdout
    assert SGR not in shop.deadlock_test("--no-color").stdout


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_sentences_are_as_wide_as_the_terminal(shop: Shop, columns: int) -> None:
    with shop.on_terminal("--no-color", columns=columns) as terminal:
        text = terminal.read_all()
    told = text.split("DEADLOCK after")[1].split("\n\n")[1]
    widest = max(map(len, told.splitlines()))
    assert told.startswith("A held row 1")
    assert min(columns, 100) - 20 < widest <= min(columns, 100)


@pytest.mark.parametrize("columns", [60, 140])
def test_a_log_is_told_like_a_run(shop: Shop, tmp_path: Path, columns: int) -> None:
    log = tmp_path / "postgresql.log"
    log.write_text(
        "[11] ERROR:  deadlock detected\n"
        "[11] DETAIL:  Process 11 waits for ShareLock on transaction 745; blocked by process 12.\n"
        "\tProcess 12 waits for ShareLock on transaction 744; blocked by process 11.\n"
        "\tProcess 11: UPDATE account SET balance = 1 WHERE id = 2\n"
        "\tProcess 12: UPDATE account SET balance = 2 WHERE id = 1\n"
    )
    with shop.on_terminal("--from-log", str(log), columns=columns) as terminal:
        text = terminal.read_all()
    assert re.search(r"\x1b\[[\d;]+m[^\n]*40P01", text)
    told = re.sub(r"\x1b\[[\d;]*m", "", text).replace("\r", "")
    if columns <= 100:  # no sentence is wider
        assert told == read_log(log.read_text(), list(scenarios()))[2][0][0].to_text(1, columns)
    assert max(map(len, told.splitlines())) <= columns


def test_the_progress_bar_is_for_terminals(shop: Shop) -> None:
    with shop.on_terminal("--repeat=5") as terminal:
        text = terminal.read_all()
    assert "5/5" in text
    assert re.search(r"\x1b\[[\d;]+m", text)
    assert "5 deadlocks in 5 runs\n" in text
    with shop.on_terminal("--repeat=5", "--no-color") as terminal:
        text = terminal.read_all()
    assert "5/5" in text
    assert not re.search(r"\x1b\[[\d;]*m", text.replace("\x1b[0m", ""))
    with shop.on_terminal("--repeat=5", "-v0") as terminal:
        assert terminal.read_all() == ""


def test_another_encoding_costs_only_the_arrows(shop: Shop) -> None:
    done = shop.deadlock_test(PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the cycle: A -> B -> A" in done.stdout
    assert ": waits for row 2, held by B ---" in done.stdout
    assert ">|\n" in done.stdout
    assert "?" not in done.stdout
