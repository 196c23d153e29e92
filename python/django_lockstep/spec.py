"""Specs: PostgreSQL's own way to write down sessions, their steps, and the orders to run them in."""

from __future__ import annotations

from django_lockstep._core import parse_spec
from django_lockstep.exceptions import UsageError

TYPE_CHECKING = False  # typing takes longer to import than all the rest of the package
if TYPE_CHECKING:
    import os

    from django_lockstep._core import Spec


def load_spec(path_or_text: str | os.PathLike[str]) -> Spec:
    """Read a ``.spec`` file, in the language of PostgreSQL's ``src/test/isolation/README``.

    Args:
        path_or_text: A path; or the text itself, which a string is taken for if it has a ``{`` in it (every spec has).

    Raises:
        UsageError: The file cannot be read, or is no spec; the message names line and column, and what was expected.
    """
    if isinstance(path_or_text, str) and "{" in path_or_text:
        return parse_spec(path_or_text)
    from pathlib import Path  # what only a few calls need, an import of the package does without

    path = Path(path_or_text)
    try:
        text = path.read_bytes().decode("utf-8-sig")  # its line ends are part of the SQL
    except (OSError, ValueError) as error:  # not UTF-8 is a ValueError
        hint = "Give the path of a .spec file, or its text."
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f"Cannot read {path}: {reason}. {hint}"
        raise UsageError(message, hint=hint) from error
    return parse_spec(text, path.name)
