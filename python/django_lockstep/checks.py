"""System checks: settings under which the tools cannot do what they promise. They open no connection.

``manage.py check`` runs them. Those that do not matter to a project are silenced as any other check is, by
``SILENCED_SYSTEM_CHECKS = ["lockstep.W001"]``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from django_lockstep._core import dsn_resolved
from django_lockstep.dsn import dsn_from_alias, is_postgresql, isolation_from_alias
from django_lockstep.exceptions import LockstepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig

POSTGRESQL_DEADLOCK_TIMEOUT = 1000.0
"""Milliseconds; the manual, "Lock Management"."""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
"""In milliseconds; the manual, "Parameter Names and Values". A bare number is milliseconds."""
OUTCOMES = {
    "lock_timeout": ("W002", "55P03 (lock not available)"),
    "statement_timeout": ("W003", "57014 (query canceled)"),
}


def check_settings(*, app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Check all of ``DATABASES``. A check of the settings belongs to no app, so ``check APP`` leaves it out."""
    if app_configs is not None:
        return []
    aliases = [alias for alias in connections if is_postgresql(alias)]
    found: list[checks.CheckMessage] = []
    if DEFAULT_DB_ALIAS not in aliases:
        found.append(_default_is_not_postgresql(aliases))
    for alias in aliases:
        found += _check_alias(alias)
    return found


def _default_is_not_postgresql(aliases: list[str]) -> checks.CheckMessage:
    hint = (
        f"Name a PostgreSQL alias: deadlock_test --database {aliases[0]}, using={aliases[0]!r}."
        if aliases
        else "See a deadlock without a server of your own: deadlock_test --embedded."
    )
    engine = connections.settings[DEFAULT_DB_ALIAS]["ENGINE"]
    what = "has no ENGINE" if engine.endswith(".dummy") else f"is of {engine}"
    return _warning("W001", DEFAULT_DB_ALIAS, f"{what}, and django-lockstep is about PostgreSQL only.", hint)


def _check_alias(alias: str) -> Iterator[checks.CheckMessage]:
    try:
        resolved = dsn_resolved(dsn_from_alias(alias))
        isolation_from_alias(alias)
    except LockstepError as error:
        # The hint is the message's last sentence.
        what = str(error).removesuffix(error.hint or "").rstrip()
        yield _warning(
            "W005", alias, f"has settings that lockstep's sessions cannot honour: {what}", error.hint
        )
        return
    options = dict(_given_options(resolved.get("options", "")))
    yield from _check_timeouts(alias, options)
    if options.get("default_transaction_read_only", "off").lower() in {"on", "true", "yes", "1", "t", "y"}:
        reason = "default_transaction_read_only is on"
    elif resolved.get("target_session_attrs") in {"read-only", "standby"}:
        reason = f"target_session_attrs={resolved['target_session_attrs']} asks for a replica"
    else:
        return
    hint = "Name an alias that may write, or lock advisory locks: deadlock_test --lock advisory."
    yield _warning("W004", alias, f"is read-only ({reason}), and no row can be locked there.", hint)


def _check_timeouts(alias: str, options: dict[str, str]) -> Iterator[checks.CheckMessage]:
    deadlock = _milliseconds(options.get("deadlock_timeout", "")) or POSTGRESQL_DEADLOCK_TIMEOUT
    for setting, (number, outcome) in OUTCOMES.items():
        limit = _milliseconds(options.get(setting, ""))
        if limit and limit <= deadlock:  # 0 switches it off
            what = (
                f"has a {setting} of {limit:g} ms, which ends a wait before PostgreSQL looks for a deadlock after "
                f"deadlock_timeout ({deadlock:g} ms): what should be 40P01 becomes {outcome}."
            )
            hint = (
                f"Raise {setting} in OPTIONS above {deadlock:g} ms, or give one that suits: "
                f"deadlock_test --{setting.replace('_', '-')} {deadlock / 500:g}."
            )
            yield _warning(number, alias, what, hint)


def _warning(number: str, alias: str, what: str, hint: str | None) -> checks.CheckMessage:
    return checks.Warning(f'Database alias "{alias}" {what}', hint=hint, id=f"lockstep.{number}")


def _given_options(text: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of a backend's command line: ``-c name=value`` and ``--name=value``, the last one counts."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|\S)+", text)]
    for before, word in zip(["", *words], words, strict=False):
        setting = word if before == "-c" else word.removeprefix("-c" if word.startswith("-c") else "--")
        name, equals, value = setting.partition("=")
        if equals and (before == "-c" or setting != word):
            yield name.strip().lower().replace("-", "_"), value.strip()


def _milliseconds(value: str) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?", value.strip("'"))
    return float(match[1]) * UNITS[match[2] or "ms"] if match else None
