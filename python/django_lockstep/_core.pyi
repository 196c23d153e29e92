"""The native module. The documentation of what Rust does is here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, final

__all__ = [
    "DRIVER_KEYWORDS",
    "LIBPQ_KEYWORDS",
    "OUTCOMES",
    "Event",
    "ExplorationFaces",
    "Gate",
    "Matrix",
    "Opponent",
    "Outcomes",
    "Ran",
    "Report",
    "Scenario",
    "Search",
    "Server",
    "SessionReport",
    "Spec",
    "SpecReport",
    "Statement",
    "Timeline",
    "Together",
    "__version__",
    "_repeat_deadlock",
    "dsn_from_params",
    "dsn_parts",
    "dsn_resolved",
    "html_of_many",
    "milliseconds",
    "parse_scenario",
    "parse_spec",
    "read_log",
    "run_matrix",
    "simulate_deadlock",
]

__version__: str
LIBPQ_KEYWORDS: list[tuple[str, str, Literal["honoured", "ignored", "refused"], str, str]]
"""libpq's keywords: name, environment variable, what becomes of it, what it is for, why it is not honoured."""
DRIVER_KEYWORDS: list[tuple[str, str, str]]
"""The keywords of Python drivers and of Django, all of them left out: name, whose it is, why that is harmless."""
OUTCOMES: list[str]
"""Every value of ``Report.outcome``."""

_Outcome = Literal[
    "deadlock",
    "lock_timeout",
    "statement_timeout",
    "serialization_failure",
    "no_conflict",
    "blocked_by_outsider",
    "timeout",
    "error",
]
_SessionOutcome = Literal[
    "committed",
    "rolled_back",
    "deadlock_victim",
    "lock_timeout",
    "statement_timeout",
    "serialization_failure",
    "cancelled",
    "unknown",
    "disconnected",
    "error",
]
_EventKind = Literal["begin", "request", "waiting", "acquired", "error", "commit", "rollback", "cancel"]
_Lock = Literal["update", "no key update", "share", "key share", "advisory"]
_Isolation = Literal["read committed", "repeatable read", "serializable"]
_WhatIf = Literal["no_key", "nowait", "skip_locked", "lock_timeout"]

def simulate_deadlock(
    dsn: str,
    rows: Iterable[int] = (1, 2),
    sleep: float = 0.0,
    *,
    sessions: int = 2,
    table: str | None = None,
    key: str = "id",
    lock: _Lock = "update",
    isolation: _Isolation = "read committed",
    victim: str | None = None,
    deadlock_timeout: float | None = None,
    lock_timeout: float | None = None,
    statement_timeout: float | None = None,
    timeout: float = 30.0,
    note_locks: bool = True,
    on_start: Callable[[Server], object] | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Report:
    """Make a real deadlock on the server that ``dsn`` names, and say why it happened.

    Each session is an OS thread on a pooled connection of its own. Session A locks ``rows`` in their order, B in
    reverse; each step is released only when the server has answered the one before or says that it waits for a
    lock. PostgreSQL then aborts one of them with SQLSTATE 40P01. All times are in seconds.

    Args:
        dsn: A libpq keyword/value string or a ``postgresql://`` URI (PostgreSQL manual, "Connection Strings").
        rows: Distinct ids, at least two. Left out, 1, 2, … up to ``sessions``.
        sleep: How long each session holds its first lock before it asks for the next. Not needed for a deadlock.
        sessions: More than two make a ring: session i holds ``rows[i]`` and asks for ``rows[i + 1]``; then
            ``rows`` has one id for each session. One more connection is used to watch.
        table: The table whose rows are locked. Left out, scratch rows are made in a schema ``lockstep_…`` of their
            own and removed on every way out; a role without the CREATE privilege gets advisory locks instead. The
            rows are only locked, never changed.
        key: The column of ``table`` that ``rows`` are values of.
        lock: What is taken on each row: the manual's row-level lock, or ``pg_advisory_xact_lock``.
        isolation: The sessions' isolation level.
        victim: The name of the session that must be aborted: ``"A"``, ``"B"``, …. It needs no privilege.
        deadlock_timeout: After how long PostgreSQL looks for a deadlock; only a superuser, or a role with
            ``GRANT SET ON PARAMETER deadlock_timeout`` (PostgreSQL 15 and later), may set it. Otherwise, and when left
            out, it is the server's; ``Report.notes`` says so.
        lock_timeout: The sessions' ``lock_timeout``; left out, the server's.
        statement_timeout: The sessions' ``statement_timeout``; left out, the server's.
        timeout: For the whole call. When it runs out, everything is rolled back; cleaning up takes half a second
            more at most, also when the server is frozen.
        note_locks: Whether ``Statement.locks`` is filled; it costs one more question to the server for each statement.
        on_start: Called with the ``Server`` once, in the calling thread, when everything is prepared and the first
            session is about to begin. What it raises ends the call cleanly and is raised.
        on_event: Called with each ``Event`` in the calling thread, between two steps. What it raises ends the run
            cleanly and is raised.

    The GIL is released, except while a callback runs; signals are looked at every 10 ms, so Ctrl-C ends the run,
    rolls everything back and raises ``KeyboardInterrupt``.

    Raises:
        UsageError: The arguments make no sense.
        ConnectionFailed: No connection could be made.
        Refused: The server, the role or the table does not allow it.
        ConnectionLost: The server went away so that the run could not be watched to its end.
        CallTimeout: ``timeout`` ran out before the first session began. (Later, that is ``Report.outcome``.)
    """

def _repeat_deadlock(
    dsn: str,
    times: int,
    *,
    jobs: int = 1,
    on_report: Callable[[Report], object],
    on_start: Callable[[Server], object] | None = None,
    **options: Any,
) -> None:
    """Run ``simulate_deadlock(dsn, **options)`` many times: for ``deadlock_test --repeat``, not for you.

    ``jobs`` of them are run at once, each with connections, threads and scratch rows of its own, kept from one
    run to the next. ``options["timeout"]`` is for each run; neither ``Statement.locks`` nor ``Event.lock`` is
    filled. ``on_report`` is called with each report in the calling thread, while the next run goes on. What ends it
    early is raised, as ``simulate_deadlock`` would; ``UsageError`` also for several jobs on one ``table``.
    """

def dsn_from_params(params: Mapping[str, Any]) -> str:
    """Return the libpq keyword/value string for a Python driver's keyword arguments, without the driver's own."""

def dsn_parts(dsn: str) -> dict[str, str]:
    """Return what a DSN itself says, by keyword, with the password: what libpq's ``PQconninfoParse`` gives.

    Raises ``ConnectionFailed`` for a string that cannot be read.
    """

def dsn_resolved(dsn: str) -> dict[str, str]:
    """Return what a DSN means at this moment, by keyword: with services, environment and libpq's defaults.

    Secrets are left out. Raises ``ConnectionFailed`` for a DSN that cannot be read or honoured.
    """

def milliseconds(name: str, seconds: float) -> int:
    """Return a time as a setting of PostgreSQL takes it; ``UsageError``, naming the argument, unless it can be one."""

def parse_spec(text: str, name: str = "spec") -> Spec:
    """Read the text of a ``.spec`` file; ``load_spec`` reads files. Raises ``UsageError`` with line and column."""

def parse_scenario(text: str, name: str = "scenario") -> Scenario:
    """Read a file of the catalogue: a header, and a spec below it. Raises ``UsageError`` with line and column."""

def run_matrix(
    scenarios: Sequence[Scenario],
    dsn: str,
    *,
    deadlock_timeout: float | None = None,
    timeout: float = 3600.0,
    on_start: Callable[[Server], object] | None = None,
    on_cell: Callable[[str, int], object] | None = None,
) -> Matrix:
    """Run the permutations that show a problem under every isolation level, as they are and with every what-if.

    Each run is in a scratch schema of its own.

    Args:
        scenarios: Which: all those of ``scenarios()``, or some of them.
        dsn: Where.
        deadlock_timeout: In seconds, for a role that may set it; left out, 0.25. Another role has the server's.
        timeout: In seconds, for the whole call.
        on_start: Called with the ``Server`` once, before the first run.
        on_cell: Called with a title and a number, from 1, before each run: 15 runs for each scenario.

    Raises what ``Spec.run`` raises, and ``CallTimeout`` when ``timeout`` has run out.
    """

@final
class Spec:
    """What is read from a ``.spec`` file. Frozen; ``str()`` of it is a text that reads as the same spec."""

    @property
    def name(self) -> str:
        """The file's name."""
    @property
    def sessions(self) -> tuple[str, ...]:
        """The sessions' names; of several sessions of one name, the second is ``NAME (2)``."""
    @property
    def permutations(self) -> tuple[str, ...]:
        """The orders of steps that the file names; if it names none, all interleavings are run."""
    def heading(self, steps: str, number: int, width: int = 100) -> str:
        """Return what stands above a permutation: its number, what it is there for, and its steps."""
    def run(
        self,
        dsn: str,
        *,
        isolation: _Isolation | None = None,
        scratch: bool = False,
        what_if: _WhatIf | None = None,
        permutations: Iterable[int] | None = None,
        deadlock_timeout: float | None = None,
        step_timeout: float | None = None,
        timeout: float = 3600.0,
        on_start: Callable[[Server], object] | None = None,
        on_permutation: Callable[[str, int], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_report: Callable[[Report, str], object] | None = None,
        on_note: Callable[[str], object] | None = None,
    ) -> SpecReport:
        """Run it, by the rules of PostgreSQL's ``isolationtester`` (``src/test/isolation/README`` in its sources).

        A spec is SQL that somebody wrote, and it is run as it is: on the database that ``dsn`` names. It uses one
        connection for each session and one more for setup, teardown and looking who waits.

        Args:
            dsn: Where: a libpq keyword/value string or a ``postgresql://`` URI. As with ``isolationtester``, the
                sessions are called ``APPLICATION_NAME/SESSION``.
            isolation: What a plain BEGIN means; left out, what the server has as its default.
            scratch: Whether to make a scratch schema that is all the sessions' ``search_path`` has, and is gone
                afterwards. The waits then begin a part of ``deadlock_timeout`` apart, so that the first to wait is
                the victim of a deadlock.
            what_if: A change to how locks are asked for; in a scratch schema only. ``"no_key"``, ``"nowait"`` and
                ``"skip_locked"`` rewrite the locking clauses of the steps as Django's options of
                ``select_for_update()`` would; with ``"lock_timeout"`` every wait outlasts a short ``lock_timeout``.
            permutations: Only these, counted from 1.
            deadlock_timeout: In seconds; in a scratch schema, for a role that may set it. Left out there, 0.25.
            step_timeout: In seconds. A step that takes longer is cancelled; after twice as long the file is given up.
                Left out, twice the environment's PG_TEST_TIMEOUT_DEFAULT, or 360.
            timeout: In seconds, for the whole call. When it runs out, everything is cancelled and rolled back.
            on_start: Called with the ``Server`` once, before the first permutation.
            on_permutation: Called with a permutation's steps and its number, from 1, when it begins; again, when it is
                run again because a busy machine aborted another session than it was to (in a scratch schema only).
            on_event: Called with each ``Event`` in the calling thread, between two steps.
            on_report: Called with a permutation's ``Report`` and its verdict, in one line, when it is through.
            on_note: Called with a sentence that says what is waited for, and for how long, when a step has gone on for
                two seconds.

        What a callback raises ends the run cleanly and is raised. The GIL is released; Ctrl-C ends the run. However it
        ends, what goes on is cancelled, and the teardowns of a permutation whose setup was through are run, for five
        seconds at most. What may be left is a note of the report, or of the exception (``__notes__``).

        Raises:
            UsageError: The arguments make no sense, or no step has a locking clause to change.
            ConnectionFailed: No connection could be made.
            Refused: A pooler in transaction mode is in between; or the role may not make the scratch schema.
            ServerError: The server refused something of ours. (What it refuses of the spec, the report tells.)
            ConnectionLost: The server went away.
            CallTimeout: ``timeout`` ran out before the first permutation. (Later, ``SpecReport.failure`` says so.)
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class SpecReport:
    """What became of a spec. Frozen."""

    @property
    def permutations(self) -> tuple[str, ...]:
        """The steps of each permutation that was run."""
    @property
    def reports(self) -> tuple[Report, ...]:
        """A report for each of them."""
    @property
    def effects(self) -> tuple[str, ...]:
        """What came of each, in a word or two.

        ``none``: nobody waited for a lock; ``waits``: somebody did, and nobody failed; else the SQLSTATE of each error,
        in order, with ``at COMMIT`` where COMMIT failed: ``40P01 at COMMIT``. 25P02, which follows from another
        error, is left out.
        """
    @property
    def verdicts(self) -> tuple[str, ...]:
        """The same in one line for each, with the time: ``DEADLOCK after 0.254 s: 40P01 at COMMIT``."""
    @property
    def failure(self) -> str | None:
        """Why the file was given up, if it was: a setup that failed, a step that never ended, the timeout."""
    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about how it was run, a sentence each."""
    @property
    def server(self) -> Server:
        """The server that it took place on."""
    def to_isolationtester(self) -> str:
        """Return what PostgreSQL's ``isolationtester`` prints for it, byte for byte."""
    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers, with a ``schema_version``."""
    def to_json(self) -> str:
        """Return the same as a JSON text."""
    def to_html(self, title: str, lead: Sequence[str] = (), code: str = "") -> str:
        """Return it as one HTML document that loads nothing and runs no script; ``lead`` comes first, then ``code``."""
    def conclusion(self, width: int = 100) -> str:
        """Return the last part of the text: why the file was given up, if it was, and the notes."""
    def to_text(self, verbosity: int = 1, width: int = 100) -> str:
        """Return it as plain text: 1 the steps as they happened, 2 their SQL too.

        Sentences are wrapped to ``width`` columns.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Scenario:
    """One scenario of the catalogue. Frozen."""

    @property
    def name(self) -> str:
        """Its name."""
    @property
    def title(self) -> str:
        """What happens, in one line."""
    @property
    def teaches(self) -> str:
        """What there is to learn."""
    @property
    def django(self) -> str:
        """The Django code that leads to it."""
    @property
    def fix(self) -> str:
        """What to do instead."""
    @property
    def seen_in(self) -> tuple[str, ...]:
        """The public issues where it was met, as ``owner/repo #1``."""
    @property
    def fixed(self) -> tuple[bool, ...]:
        """For each permutation whether it shows the way out, and not the problem."""
    @property
    def spec(self) -> Spec:
        """What is run."""
    def expected(self, isolation: _Isolation = "read committed") -> tuple[str, ...]:
        """Return what to expect of each permutation, as in ``SpecReport.effects``."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Matrix:
    """Scenarios under every isolation level and with every what-if, as a table. Frozen."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns: ``as it is``, then each what-if."""
    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about how it was made, a sentence each."""
    @property
    def server(self) -> Server:
        """The server that it was made on."""
    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers, with a ``schema_version``."""
    def to_json(self) -> str:
        """Return the same as a JSON text."""
    def to_text(self, width: int = 100) -> str:
        """Return it as plain text, a small table for each permutation, at most so many columns wide."""
    def to_html(self) -> str:
        """Return it as one HTML document that loads nothing and runs no script."""
    def to_markdown(self) -> str:
        """Return it as one Markdown table."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class ExplorationFaces:
    """How what ``explore`` has found is told; ``Exploration`` has the same methods.

    Args:
        sessions: The sessions' names.
        findings: Of each its kind, what it is about, its schedule, the preemptions in it, how many schedules showed it,
            and the report of one that did.
        schedules: How many schedules were run.
        redundant: How many of them were equivalent to an earlier one.
        steps: How many steps were released.
        again: How many runs were begun again besides.
        complete: Whether every inequivalent schedule was run.
        extent: The same in words.
        contended: Whether a session ever waited for another.
        only_deadlocks: Whether only deadlocks were looked for.
        notes: What to know besides, a sentence or two each.
        elapsed: Seconds.
    """

    def __new__(
        cls,
        sessions: list[str],
        findings: list[tuple[str, str, str, int, int, Report]],
        *,
        schedules: int,
        redundant: int,
        steps: int,
        again: int,
        complete: bool,
        extent: str,
        contended: bool,
        only_deadlocks: bool,
        notes: list[str],
        elapsed: float,
    ) -> ExplorationFaces: ...
    @property
    def verdict(self) -> str:
        """What came of it, in one line."""
    def to_text(self, verbosity: int = 1, width: int = 100) -> str:
        """Return it as plain text: at verbosity 0 the summary alone, else each finding's timeline as well."""
    def finding_to_text(
        self, number: int, verbosity: int = 1, width: int = 100, argument: str = "only"
    ) -> str:
        """Return the finding of that number, from 0, as plain text; nothing if there is none.

        ``argument`` is what replays it in the call that found it.
        """
    def to_json(self) -> str:
        """Return it as a JSON text."""
    def to_markdown(self) -> str:
        """Return it as Markdown, with a Mermaid diagram of each finding."""
    def to_mermaid(self) -> str:
        """Return it as one Mermaid sequence diagram."""
    def to_html(self) -> str:
        """Return it as one HTML document."""

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

def read_log(
    log: str | _Readable, catalogue: list[Scenario] = ...
) -> tuple[str, int, list[tuple[Report, str | None]]]:
    """Return the deadlocks of a PostgreSQL server log.

    Args:
        log: What the server wrote: ``stderr`` with any ``log_line_prefix``, ``csvlog`` or ``jsonlog``, in any language;
            as a text, or a file opened for reading bytes, which is read as a stream.
        catalogue: Scenarios, of which the nearest is proposed.

    Returns:
        The log's format, how many entries it has, and for each deadlock a report and the nearest scenario's name.
    """

def html_of_many(
    title: str,
    chapters: list[tuple[str, Report]],
    *,
    lead: list[str] = ...,
    facts: list[tuple[str, str]] = ...,
    calm: bool = False,
) -> str:
    """Return one HTML document of several reports, each under its heading, to be unfolded.

    Args:
        title: The page's heading.
        chapters: A heading and a report each.
        lead: Paragraphs between the title and the reports.
        facts: Names and values between the title and the reports.
        calm: Whether all is well; else the title looks like a deadlock's.
    """

@final
class Report:
    """What happened in one run. Frozen."""

    @property
    def outcome(self) -> _Outcome:
        """How the run ended, as a whole."""
    @property
    def deadlocked(self) -> bool:
        """Whether PostgreSQL aborted at least one session with 40P01."""
    @property
    def hidden_deadlock(self) -> bool:
        """Whether nobody could ever go on, unseen by PostgreSQL, for a part of the cycle is in this process."""
    @property
    def victims(self) -> tuple[str, ...]:
        """The sessions that were aborted with 40P01, in that order; one deadlock can abort two."""
    @property
    def cycle(self) -> tuple[str, ...]:
        """The wait-for cycle: each waits for the next and the last for the first, which is the victim."""
    @property
    def sessions(self) -> tuple[SessionReport, ...]:
        """What became of each session, in the order of their names."""
    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened, in order."""
    @property
    def elapsed(self) -> float:
        """Seconds from the first BEGIN to the end of the last session, without connecting and clean-up."""
    @property
    def explanation(self) -> str:
        """What happened, why, and what to do about it, in plain words."""
    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about how the run was done: a substitute, a setting that was not honoured."""
    @property
    def server(self) -> Server:
        """The server that it took place on."""
    @property
    def told_cycle(self) -> str:
        """The cycle in words, as every face tells it: ``A → B → A``, from the first of its sessions; else empty."""
    @property
    def verdict(self) -> str:
        """The outcome in one line."""
    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers, with a ``schema_version``.

        ``schema/report-1.json`` in this package is its JSON Schema.
        """
    def to_json(self) -> str:
        """Return the same as a JSON text."""
    def to_text(self, verbosity: int = 1, width: int = 100) -> str:
        """Return it as plain text: 1 the timeline and the verdict, 2 every statement, 3 what the observer saw.

        The timeline has a column a session where ``width`` has room for them. No line is longer than that, and no
        character is one that XML or a terminal could trip over.
        """
    def to_mermaid(self) -> str:
        """Return it as a Mermaid ``sequenceDiagram``, valid whatever the statements contain."""
    def to_html(self) -> str:
        """Return it as one HTML document that loads nothing and runs no script."""
    def heading(self) -> str:
        """Return the first line of the text: where it took place."""
    def conclusion(self, width: int = 100, verdict: str | None = None) -> str:
        """Return the last part of the text: the verdict (or another), why, the server's own words, the notes."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class SessionReport:
    """What became of one session. Frozen."""

    @property
    def name(self) -> str:
        """``A``, ``B``, … ``Z``, ``AA``, …."""
    @property
    def backend_pid(self) -> int | None:
        """What ``pg_backend_pid()`` said inside the transaction."""
    @property
    def outcome(self) -> _SessionOutcome:
        """How it ended."""
    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE of the error that ended it."""
    @property
    def message(self) -> str | None:
        """The server's message."""
    @property
    def detail(self) -> str | None:
        """The server's DETAIL: for a deadlock a line for each process of the cycle."""
    @property
    def hint(self) -> str | None:
        """The server's HINT."""
    @property
    def context(self) -> str | None:
        """The server's CONTEXT."""
    @property
    def statements(self) -> tuple[Statement, ...]:
        """Its statements, in order."""
    @property
    def result(self) -> Any:
        """What its callable returned; ``None`` for a session that runs none."""
    @property
    def exception(self) -> BaseException | None:
        """What its callable raised."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Statement:
    """One statement of one session. Frozen."""

    @property
    def sql(self) -> str:
        """The statement, as it was sent."""
    @property
    def step(self) -> str:
        """Its short name, for example ``row 1``."""
    @property
    def requested(self) -> float:
        """When it was released, in seconds since the start of the run."""
    @property
    def finished(self) -> float | None:
        """When it was through or failed, in seconds since the start of the run."""
    @property
    def waited(self) -> bool:
        """Whether the server was seen to make it wait for a lock."""
    @property
    def locks(self) -> tuple[str, ...]:
        """The locks that it took and its transaction did not have before.

        In PostgreSQL's words, ``RowShareLock on relation account``; and ``row lock of FOR UPDATE on 1 row``. Empty
        as well where the run did not note locks.
        """
    @property
    def rows(self) -> int | None:
        """How many rows it returned or touched."""
    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE that it failed with."""
    @property
    def source(self) -> str | None:
        """``file:line`` of the user's code, where there is any."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Event:
    """One thing that happened. Frozen."""

    @property
    def at(self) -> float:
        """Seconds since the start of the run."""
    @property
    def session(self) -> str:
        """The session's name."""
    @property
    def backend_pid(self) -> int | None:
        """The session's backend, once it is known."""
    @property
    def kind(self) -> _EventKind:
        """What happened."""
    @property
    def step(self) -> str:
        """The step's short name, for example ``row 1``."""
    @property
    def statement(self) -> str | None:
        """The statement, as it was sent."""
    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Who is in the way: sessions of the run by name, others as ``pid 4711``."""
    @property
    def lock(self) -> str | None:
        """The lock that is waited for, for example ``ShareLock on transaction 745``."""
    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE of an error."""
    @property
    def message(self) -> str | None:
        """The server's message of an error."""
    @property
    def rows(self) -> int | None:
        """How many rows the statement returned or touched."""
    @property
    def source(self) -> str | None:
        """``file:line`` of the user's code, where there is any."""
    def to_text(self, verbosity: int = 1) -> str | None:
        """Return it as one line; ``None`` if it is not told at this verbosity."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Server:
    """The server that a run took place on. Frozen; ``str()`` of it is a report's heading."""

    @property
    def version(self) -> str:
        """Its version, for example ``18.6``."""
    @property
    def version_num(self) -> int:
        """The same as a number, for example 180006."""
    @property
    def database(self) -> str:
        """The database that the sessions were connected to."""
    @property
    def role(self) -> str:
        """The role that the sessions ran as."""
    @property
    def deadlock_timeout(self) -> float:
        """Its ``deadlock_timeout`` for this role, in seconds."""
    @property
    def may_set_deadlock_timeout(self) -> bool:
        """Whether the role may set ``deadlock_timeout``."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Timeline:
    """Draws events as they come: a column a session, time downwards; ``Report.to_text()`` is drawn by it too.

    Where the columns do not fit (each needs 16 characters), an event is a line of its own, as ``Event.to_text()``.
    """

    def __new__(cls, sessions: int | Iterable[str], verbosity: int = 1, width: int = 100) -> Timeline:
        """Make one of these sessions; a number makes ``A``, ``B``, …."""
    def heading(self) -> str:
        """Return the names above the columns, after an empty line; empty where there are no columns."""
    def lines(self, event: Event) -> list[tuple[str, str, str]]:
        """Return the lines that an event adds, each as what is before the words, the words, and what is after."""

@final
class Gate:
    """Where a callable session's thread waits before each step. One thread's; dropping it ends the session."""

    def arrive(
        self,
        kind: str,
        name: str,
        statement: str,
        source: str | None,
        reach: list[tuple[str, str | None, str]] | None = None,
        parameters: str | None = None,
    ) -> bool:
        """Announce a step and wait until it is released; return ``False`` when the run is over.

        ``kind`` is ``"opening"`` (the first statement of a transaction), ``"statement"``, ``"alone"`` (outside any
        transaction), ``"commit"`` or ``"rollback"``. The GIL is released meanwhile. ``reach`` is all that the statement
        touches, where that is known: table, primary key of the only row, and how (``"read"``, ``"key share"``,
        ``"share"``, ``"no key update"``, ``"update"``, ``"write"``, ``"delete"``, ``"insert"``). ``parameters`` are the
        statement's, as a reader sees them.
        """
    @property
    def others_wait(self) -> bool:
        """Whether another session waited for a lock when the last step was released: then that may close a cycle."""
    def locate(self, backend_pid: int | None) -> None:
        """Tell which backend the next steps run on; ``None`` where it cannot be known."""
    def check(self, whether: bool) -> None:
        """Tell whether the server has looked for a deadlock around the current wait, and found none."""
    def isolate(self, level: str) -> None:
        """Tell the isolation level of the session's transactions, as PostgreSQL writes it."""
    def finish(self, rows: int | None = None) -> None:
        """Tell that the released step is through, and how many rows it returned or touched."""
    def fail(
        self,
        sqlstate: str,
        message: str,
        *,
        severity: str | None,
        detail: str | None,
        hint: str | None,
        context: str | None,
    ) -> None:
        """Tell that the released step failed: the server's fields. ``sqlstate`` is empty for the driver's own."""
    def lose(self, why: str) -> None:
        """Tell that the connection ended during the released step."""
    def leave(self, raised: str | None = None, sqlstate: str | None = None) -> None:
        """End the session; ``raised`` is what its code raised, in one line, if it did."""

@final
class Together:
    """Watches runs of callables, one after the other, on one connection of its own."""

    def __new__(
        cls,
        dsn: str,
        timeout: float,
        *,
        threads: Callable[[], tuple[list[str | None], bool, list[tuple[int, str | None]]]] | None = None,
    ) -> Together:
        """Connect within ``timeout`` seconds.

        ``threads`` is asked, in the calling thread, when a session does not come to its gate: it returns for each
        session where its code waits for another thread without limit, if it does; whether any thread that is no
        session's may do something by itself; and the backends, with the places of their code, on which such threads
        have a statement.
        """
    @property
    def server(self) -> Server:
        """The server."""
    @property
    def pooler_patience(self) -> float | None:
        """For how many seconds a pooler may keep a session's first statement waiting; ``None``: there is no pooler."""
    @staticmethod
    def refuse_small_pool(session: str, sessions: int) -> None:
        """Raise what is to be said when it has kept this session waiting for longer.

        ``sessions`` are wanted, and one connection more for the observer.
        """
    @property
    def deadlock_timeouts(self) -> tuple[float, float] | None:
        """The ``deadlock_timeout``s, in seconds, that each session shall set for itself; ``None``: the server's.

        The first is for a step that is released while nobody waits, the other one for any other: it may close a cycle.
        """
    def run(
        self,
        names: list[str],
        start: Callable[[int, Gate], object],
        stopping: Callable[[], object],
        collect: Callable[[], tuple[list[str], list[tuple[Any, BaseException | None]]]],
        order: list[int] | None,
        timeout: float,
        on_event: Callable[[Event], object] | None = None,
    ) -> Report:
        """Run one session for each name: in turns, or by the numbers in ``order`` and then in turns.

        ``start`` is called for each with its number and its gate, and must not wait; ``stopping`` when the run is about
        to be ended before the sessions have. ``collect`` is called when it is over: it returns sentences for the
        report's notes, and what each session returned and raised.
        """
    def close(self) -> None:
        """End the connection."""

@final
class Opponent:
    """A SQL session that holds what code under test will ask for: what ``provoke_deadlock`` is made of."""

    def __new__(
        cls,
        dsn: str,
        holding: tuple[str, str, bool],
        wanting: tuple[str, str, bool],
        *,
        times: int,
        timeout: float,
        settings: list[tuple[str, str]],
        deadlock_timeout: tuple[int, float] | None,
    ) -> Opponent:
        """Connect, and lock what is to be held.

        ``holding`` and ``wanting`` are each a name, a statement, and whether it must find rows; ``settings`` are
        those of the opponent's transaction; ``deadlock_timeout`` is a backend of the code's and what it has set, in
        seconds. The GIL is released, and signals are looked at.
        """
    def admit(self) -> Gate | None:
        """Take in a connection of the code under test; ``None`` when the opponent is over."""
    def dismiss(self) -> None:
        """Have it let go of everything, and wait until its connections are closed; at most two seconds."""
    def verdict(
        self, raised: str | None, *, raised_deadlock: bool, raised_aborted: bool, happened: int | None
    ) -> tuple[Report, int, int, list[str]]:
        """Return the report, the number of deadlocks and of attempts, and the names of the findings."""

@final
class Ran:
    """What one schedule of a search came to, besides its report."""

    @property
    def report(self) -> Report:
        """What happened."""
    @property
    def order(self) -> list[int]:
        """The simplest equivalent order, up to the first failure if there was one."""
    @property
    def literal(self) -> bool:
        """Whether the run itself has begun in that order."""
    @property
    def preemptions(self) -> int:
        """How often that order takes the turn from a session that could go on."""
    def whole(self) -> Ran:
        """Return the same, its order to the end: what has come of it may have been decided after a failure."""
    @property
    def serial(self) -> list[int] | None:
        """The sessions one after the other, if the schedule is equivalent to that."""
    @property
    def written(self) -> list[str] | None:
        """The tables and sequences that were written, if that is known."""
    @property
    def again(self) -> bool:
        """Whether the server let in a session out of turn: the run does not count, its schedule comes again."""
    @property
    def repeat(self) -> bool:
        """Whether it was the first schedule once more, for comparison: the run does not count."""
    @property
    def diverged(self) -> tuple[int, int, str | None, str | None] | None:
        """The session that went another way than before, the number of its step, the statement before and now."""
    @property
    def overtaken(self) -> tuple[int, int | None, int] | None:
        """The session that the server never let in in its turn, the one before it, if known, and in how many runs."""

@final
class Outcomes:
    """What the schedules of a search leave, compared with what the serial orders leave.

    A table's rows are ``array_agg((x.*)::text)::text``, or ``None`` where there are none.
    """

    def __new__(
        cls,
        sessions: list[str],
        tables: list[tuple[str, list[tuple[str, bool]], list[int]]],
        references: list[tuple[str, str, str, str]],
        start: list[tuple[str, str | None]],
    ) -> Outcomes:
        """Make one that knows no outcome yet.

        Args:
            sessions: Their names.
            tables: Each one's name; its columns, and whether a sequence gives their values; the places of its key's
                columns.
            references: Table and column, and table and column that hold the same values.
            start: What the tables hold when a schedule begins.
        """
    def started_again(self, start: list[tuple[str, str | None]]) -> None:
        """Take down what the tables hold when another schedule begins."""
    def add(self, held: list[tuple[str, str | None]], raised: list[str | None]) -> int:
        """Take down what the written tables hold, and what each session raised; equal outcomes have one number."""
    def repeated(self, first: int, second: int) -> bool:
        """Take down that these are outcomes of the very same schedule; whether anything was learnt by that."""
    def lost(self, serial: list[int], outcomes: list[int]) -> list[tuple[list[int], str]]:
        """Return the outcomes that no serial order comes to, those that are told alike together, and what is told."""

@final
class Search:
    """A search over the schedules of some sessions."""

    def __new__(
        cls,
        names: list[str],
        lore: tuple[list[tuple[str, str]], set[str], set[str], set[str]],
        *,
        preemptions: int | None,
        seed: int | None,
        depth: int,
        only: list[int] | None,
        strict: bool,
        reduced: bool,
        max_schedules: int | None,
        max_seconds: float | None,
        like: Search | None = None,
    ) -> Search:
        """Begin no schedule yet.

        ``lore``: pairs of tables that a deferrable foreign key ties together; functions, and tables whose triggers do
        what no lock tells; and sequences. ``strict``: that ``only`` cannot be followed is an error. ``like``: a search
        of the same sessions, in which they must have done the same.
        """
    def begin(self) -> bool:
        """Whether another schedule is to be run; ``run`` must follow."""
    def run(
        self,
        together: Together,
        start: Callable[[int, Gate], object],
        stopping: Callable[[], object],
        collect: Callable[[], tuple[list[str], list[tuple[Any, BaseException | None]]]],
        timeout: float,
    ) -> Ran:
        """Run the schedule that has begun; the arguments are those of ``Together.run``."""
    @property
    def statistics(self) -> tuple[int, int, int, int]:
        """Schedules run, how many of them were equivalent to an earlier one, steps released, and runs begun again."""
    @property
    def complete(self) -> bool:
        """Whether every inequivalent schedule was run."""
    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to run, as far as its bounds go."""
