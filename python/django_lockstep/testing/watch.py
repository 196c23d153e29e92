"""What a search wants to know of a session besides its steps.

What they touch, how isolated they are, and when the server has looked for a deadlock around a wait.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django_lockstep.testing import driver

if TYPE_CHECKING:
    from django_lockstep._core import Gate
    from django_lockstep.testing.reach import Reach, Reaches

SETTINGS = {
    "log_lock_waits": "on",
    "client_min_messages": "log",
    "log_min_messages": "panic",
    "lc_messages": "C",
}
"""With these the server tells the client, and not its log, that it has looked for a deadlock and found none: "still
waiting". A superuser may set them.
"""
_MAY_ISOLATE = re.compile(r"isolation|characteristics|set_config", re.IGNORECASE)
_UNKNOWN = "unknown"
"""Told in place of a level: then every step counts as dependent on every other, from then on."""
_LEVELS = {1: "read committed", 2: "repeatable read", 3: "serializable", 4: "read uncommitted"}
"""By psycopg2's numbers; psycopg 3 has names."""


class Watch:
    """Of one session's connection to the alias that is searched."""

    def __init__(self, alias: str, reaches: Reaches) -> None:
        self.alias = alias
        self.clean = True
        """Whether all that was done was recognised: then nothing of it stays with the session."""
        self._reaches = reaches
        self._default = "read committed"
        self._level: str | None = None
        self._asks = False
        self._gate: Gate | None = None
        self._heard: Any = None
        self.survey: str | None = None
        """A query for the rows that a transaction has locked (``State.survey``), while they are asked for."""
        self.surveyed: dict[int, set[tuple[str, str, str]]] = {}
        """What it has returned after statements over several rows, by the steps before."""
        self._steps = 0
        self._number: str | None = None

    def listen(self, raw: Any, default: str, *, tells: bool) -> None:
        """Listen to a connection that is ready. Its transactions are isolated like this, unless said otherwise."""
        self._default = default
        self.clean = True
        self._asks = False
        if tells and self._heard is not raw:
            self._heard = raw
            raw.add_notice_handler(self._hear)

    def begin(self, gate: Gate) -> None:
        """Begin a run."""
        self._level = None
        self._gate = gate
        self._steps = 0
        self.surveyed = {}
        if self._heard is not None:
            gate.check(False)

    def end(self) -> None:
        """End a run."""
        self._gate = None

    def before(self, alias: str, raw: Any, kind: str, gate: Gate) -> None:
        """Tell the isolation level of the step that is about to be announced."""
        self._steps += 1
        self._number = None
        if self.survey is not None and kind == "alone" and alias == self.alias:
            self._number = _asked(
                raw, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint % (1::bigint << 32)"
            )
        if self._reaches.deferred_triggers or alias != self.alias:
            self._tell(_UNKNOWN, gate)
        elif kind in {"opening", "alone"} and not self._asks:
            self._tell(_level_of(raw) or self._default, gate)

    def reach(self, alias: str, sql: str, parameters: Any, *, many: bool) -> Reach | None:
        """Return what a statement touches, if that is known."""
        found = None if many or alias != self.alias else self._reaches.of(sql, parameters)
        self.clean &= found is not None or sql.startswith("ROLLBACK TO SAVEPOINT ")
        return found

    def unknown(self) -> None:
        """Take down that a step is not recognised: it may leave something with the session."""
        self.clean = False

    def count(self) -> None:
        """Count a step."""
        self._steps += 1

    def look(self, alias: str, raw: Any, rows: int) -> None:
        """Take down which rows a step has locked, if it has several, and that is asked for."""
        if self.survey is None or rows < 2 or alias != self.alias:
            return
        number = self._number or _asked(
            raw, "SELECT pg_current_xact_id_if_assigned()::text::bigint % (1::bigint << 32)"
        )
        if number is not None:
            with raw.cursor() as cursor:
                cursor.execute(self.survey.replace("{number}", str(number)))
                self.surveyed[self._steps - 1] = set(cursor.fetchall())

    def after(self, alias: str, raw: Any, kind: str, text: str, gate: Gate) -> None:
        """Look after a step's level when it is through; what may have changed it has the server asked from then on."""
        self._asks |= kind != "commit" and _MAY_ISOLATE.search(text) is not None
        if not self._asks or alias != self.alias or raw.closed:
            return
        if driver.transaction_status(raw) in {driver.IDLE, driver.IN_TRANSACTION}:
            self._tell(str(_asked(raw, "SHOW transaction_isolation")), gate)

    def _tell(self, level: str, gate: Gate) -> None:
        if self._level not in {level, _UNKNOWN}:
            self._level = level
            gate.isolate(level)

    def _hear(self, notice: Any) -> None:
        gate = self._gate
        if gate is not None and notice.source_function == "ProcSleep":
            gate.check("still waiting" in (notice.message_primary or ""))


def _asked(raw: Any, sql: str) -> Any:
    with raw.cursor() as cursor:
        cursor.execute(sql)
        (answer,) = cursor.fetchone()
    return answer


def _level_of(raw: Any) -> str | None:
    level = getattr(raw, "isolation_level", None)
    if level is None:
        return None
    named: str = getattr(level, "name", "").lower().replace("_", " ")
    return named or _LEVELS.get(level, _UNKNOWN)
