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
        hint = _order_hint(names)
        raise UsageError(f"An order is a string, not {order!r:.80}. {hint}", hint=hint)
    numbers = {letter(number): number for number in range(len(names))}
    numbers.update({name: number for number, name in enumerate(names)})
    words = order.split()
    unknown = next((place for place, word in enumerate(words) if word not in numbers), None)
    if unknown is not None:
        hint = _order_hint(names)
        raise UsageError(
            f'The order "{order}" names {words[unknown]!r} at its entry {unknown + 1}, which is no session. {hint}',
            hint=hint,
        )
    return [numbers[word] for word in words]


def _order_hint(names: Sequence[str]) -> str:
    letters = [letter(number) for number in range(len(names))]
    known = ", ".join(
        name if name == its_letter else f"{its_letter} (or {name})"
        for its_letter, name in zip(letters, names, strict=True)
    )
    forms = " or ".join(
        f'"{" ".join([*every, *every])}"' for every in dict.fromkeys([tuple(letters), tuple(names)])
    )
    return f"The sessions are {known}; write one for each step, with blanks between: {forms}."


def _own_name(function: Callable[[], Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", ""))
