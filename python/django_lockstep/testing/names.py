"""What sessions are called, and the orders that name them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django_lockstep.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def letter(number: int) -> str:
    """Return ``A``, ``B``, … ``Z``, ``AA``, …."""
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def names_of(functions: Sequence[Callable[[], Any]]) -> list[str]:
    """Return a name for each callable: its own, or a letter where it has none or shares it."""
    own = [_own_name(function) for function in functions]
    letters = [letter(number) for number in range(len(functions))]
    return [
        name if name.isidentifier() and own.count(name) == 1 and name not in letters else letters[number]
        for number, name in enumerate(own)
    ]


def numbers_of(order: str, names: Sequence[str]) -> list[int]:
    """Return the sessions that an order such as ``"A A B B"`` names, by letter or by name."""
    if not isinstance(order, str):
        raise UsageError(f'An order is a string, not {order!r}. Write a session for each step: "A A B B".')
    numbers = {letter(number): number for number in range(len(names))}
    numbers.update({name: number for number, name in enumerate(names)})
    unknown = [word for word in order.split() if word not in numbers]
    if unknown:
        known = ", ".join(
            f"{letter(number)} ({name})" if name != letter(number) else name
            for number, name in enumerate(names)
        )
        raise UsageError(
            f'The order "{order}" names {unknown[0]!r}, which is no session. The sessions are {known}.'
        )
    return [numbers[word] for word in order.split()]


def _own_name(function: Callable[[], Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", ""))
