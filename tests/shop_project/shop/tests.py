"""The command as a Django project's own tests call it."""

from __future__ import annotations

import json
import os
from io import StringIO
from typing import TYPE_CHECKING, Any
from unittest import mock

from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from django_lockstep import simulate_deadlock
from django_lockstep.dsn import dsn_from_alias
from django_lockstep.exceptions import Refused
from django_lockstep.testing import LockstepMixin, run_together
from shop.models import Item

if TYPE_CHECKING:
    from collections.abc import Callable


def called(*arguments: str, **options: Any) -> str:
    stdout = StringIO()
    call_command("deadlock_test", *arguments, stdout=stdout, stderr=StringIO(), **options)
    return stdout.getvalue()


def locks(*items: Item) -> Callable[[], None]:
    def locking() -> None:
        with transaction.atomic():
            for item in items:
                Item.objects.select_for_update().get(pk=item.pk)

    return locking


class InTestCase(TestCase):
    def test_deadlocks_on_the_test_database(self) -> None:
        self.assertTrue(str(connection.settings_dict["NAME"]).startswith("test_"))
        text = called()
        self.assertIn(f"database {connection.settings_dict['NAME']},", text.splitlines()[0])
        self.assertIn("DEADLOCK after", text)

    def test_leaves_the_test_its_connection(self) -> None:
        item = Item.objects.create()
        called(verbosity=0)
        self.assertTrue(Item.objects.filter(pk=item.pk).exists())

    def test_prints_nothing_else_anywhere(self) -> None:
        with mock.patch("sys.stdout", StringIO()) as out, mock.patch("sys.stderr", StringIO()) as err:
            called()
        self.assertEqual((out.getvalue(), err.getvalue()), ("", ""))

    def test_is_not_in_colour_unless_told(self) -> None:
        with mock.patch("sys.stdout.isatty", return_value=True):
            self.assertNotIn("\33", called())
        self.assertIn("\33[", called(force_color=True))
        self.assertNotIn("\33", called(no_color=True))

    def test_verbosity_0_is_silent(self) -> None:
        self.assertEqual(called(verbosity=0), "")

    def test_json(self) -> None:
        self.assertEqual(json.loads(called(format="json", verbosity=0))["outcome"], "deadlock")

    def test_repeat(self) -> None:
        self.assertIn("\n3 deadlocks in 3 runs\n", called(repeat=3))
        self.assertEqual(json.loads(called("--repeat=2", format="json"))["outcomes"], {"deadlock": 2})

    def test_refuses_to_run_callables(self) -> None:
        with self.assertRaises(Refused) as raised:
            run_together(locks(), locks())
        for name in ("TransactionTestCase", "django_db(transaction=True)"):
            self.assertIn(name, str(raised.exception))
        with self.assertRaisesMessage(Refused, 'databases = {"other"}'):
            run_together(locks(), locks(), using="other")

    def test_refuses_real_rows(self) -> None:
        with self.assertRaisesMessage(CommandError, "TransactionTestCase") as raised:
            called(model="shop.Item", interactive=False)
        self.assertEqual(raised.exception.returncode, 2)

    def test_every_mistake_is_a_command_error_with_its_status(self) -> None:
        mistakes: list[tuple[int, dict[str, Any]]] = [
            (2, {"rows": [1]}),
            (2, {"rows": [1, 1]}),
            (2, {"rows": "12"}),
            (2, {"sleep": float("nan")}),
            (2, {"sessions": 1}),
            (2, {"database": "nope"}),
            (2, {"repeat": 0}),
            (2, {"expect": "victory"}),
            (2, {"format": "xml"}),
            (2, {"model": "shop.Item", "embedded": True}),
            (1, {"database": "lite"}),
            (3, {"lock": "share"}),
            (3, {"lock": "share", "repeat": 2}),
        ]
        for status, options in mistakes:
            with self.subTest(options), self.assertRaises(CommandError) as raised:
                called(**options)
            self.assertEqual(raised.exception.returncode, status, raised.exception)

    def test_ctrl_c_is_still_a_keyboard_interrupt(self) -> None:
        def interrupt(*_args: object, **_kwargs: object) -> None:
            raise KeyboardInterrupt

        with (
            mock.patch("django_lockstep.management.commands.deadlock_test.simulate_deadlock", interrupt),
            self.assertRaises(KeyboardInterrupt) as raised,
        ):
            called()
        self.assertEqual(getattr(raised.exception, "returncode", None), 130)

    def test_the_function_itself(self) -> None:
        self.assertTrue(simulate_deadlock(dsn_from_alias()).deadlocked)


class InTransactionTestCase(LockstepMixin, TransactionTestCase):
    def test_callables(self) -> None:
        first, second = Item.objects.create(), Item.objects.create()
        report = self.assertDeadlocks(locks(first, second), locks(second, first))
        self.assertEqual(report.server.database, connection.settings_dict["NAME"])
        self.assertNoDeadlock(locks(first, second), locks(first, second))

    def test_real_rows(self) -> None:
        first, second = Item.objects.create(), Item.objects.create()
        text = called("--model", "shop.Item", "--rows", str(first.pk), str(second.pk), "--no-input")
        self.assertIn(f"waits for row {second.pk} of shop_item, held by B", text)
        self.assertEqual(Item.objects.count(), 2)

    def test_a_reader_who_has_gone(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        gone = os.fdopen(writer, "w")
        call_command("deadlock_test", stdout=gone)
        with self.assertRaises(BrokenPipeError):  # the caller's file, and the caller's to close
            gone.close()
