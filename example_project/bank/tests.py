"""The bank's tests: first those that any project has, all of which pass although one transfer can deadlock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import IntegrityError
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from bank.models import Account
from bank.transfers import (
    InsufficientFunds,
    transfer_naive,
    transfer_ordered,
    transfer_retried,
    transfer_retried_inside,
)
from bank_site.settings import database_from_url
from django_lockstep import simulate_deadlock
from django_lockstep.dsn import dsn_from_alias
from django_lockstep.testing import LockstepMixin, assert_survives_deadlock, provoke_deadlock

if TYPE_CHECKING:
    from collections.abc import Callable


class TransferTests(TestCase):
    """All transfers move money alike, as long as nobody else does at the same time."""

    transfers: ClassVar[list[Callable[[int, int, int], None]]] = [
        transfer_naive,
        transfer_ordered,
        transfer_retried,
        transfer_retried_inside,
    ]
    ada: ClassVar[Account]
    bob: ClassVar[Account]

    @classmethod
    def setUpTestData(cls) -> None:
        """Make two accounts."""
        cls.ada = Account.objects.create(owner="Ada", balance=100)
        cls.bob = Account.objects.create(owner="Bob", balance=100)

    def balances(self) -> list[int]:
        """Return both balances as the database has them."""
        return list(Account.objects.order_by("pk").values_list("balance", flat=True))

    def test_moves_the_amount_in_both_directions(self) -> None:
        for transfer in self.transfers:
            with self.subTest(transfer.__name__):
                transfer(self.ada.pk, self.bob.pk, 30)
                self.assertEqual(self.balances(), [70, 130])
                transfer(self.bob.pk, self.ada.pk, 30)
                self.assertEqual(self.balances(), [100, 100])

    def test_refuses_more_than_there_is(self) -> None:
        for transfer in self.transfers:
            with (
                self.subTest(transfer.__name__),
                self.assertRaisesMessage(InsufficientFunds, "Ada has 100, which is less than 101."),
            ):
                transfer(self.ada.pk, self.bob.pk, 101)
        self.assertEqual(self.balances(), [100, 100])

    def test_refuses_what_is_no_transfer(self) -> None:
        for transfer in self.transfers:
            for target, amount in ((self.bob.pk, 0), (self.bob.pk, -5), (self.ada.pk, 5)):
                with self.subTest(transfer.__name__, amount=amount), self.assertRaises(ValueError):
                    transfer(self.ada.pk, target, amount)
        self.assertEqual(self.balances(), [100, 100])

    def test_needs_both_accounts(self) -> None:
        for transfer in self.transfers:
            with self.subTest(transfer.__name__), self.assertRaises(Account.DoesNotExist):
                transfer(self.ada.pk, 0, 10)
        self.assertEqual(self.balances(), [100, 100])

    def test_the_database_itself_refuses_an_overdraft(self) -> None:
        with self.assertRaises(IntegrityError):
            Account.objects.filter(pk=self.ada.pk).update(balance=-1)


class DeadlockTests(TestCase):
    """In a plain TestCase: on scratch rows, which are made for the run and gone after it."""

    def test_the_test_database_deadlocks(self) -> None:
        report = simulate_deadlock(dsn_from_alias())
        self.assertTrue(report.deadlocked, report.explanation)
        self.assertEqual(report.sessions[0].sqlstate, "40P01")
        self.assertEqual(report.sessions[1].outcome, "committed")


class DeadlockOnAccountsTests(TransactionTestCase):
    """On the bank's own rows: they must be committed, or no other connection sees them."""

    def test_accounts_locked_in_opposite_orders_deadlock(self) -> None:
        ada, bob = (Account.objects.create(owner=owner, balance=100) for owner in ("Ada", "Bob"))
        report = simulate_deadlock(
            dsn_from_alias(), rows=(ada.pk, bob.pk), table=Account._meta.db_table, victim="B"
        )
        self.assertEqual(report.outcome, "deadlock", report.explanation)
        self.assertEqual(report.victims, ("B",))
        self.assertEqual([account.balance for account in Account.objects.all()], [100, 100])


class TransfersTogetherTests(LockstepMixin, TransactionTestCase):
    """The two transfers themselves, each in both directions at once, a statement at a time."""

    def make_accounts(self) -> None:
        """Make two accounts, and no other."""
        Account.objects.all().delete()
        self.ada, self.bob = (Account.objects.create(owner=owner, balance=100) for owner in ("Ada", "Bob"))

    def both_ways(self, transfer: Callable[[int, int, int], None]) -> tuple[Callable[[], None], ...]:
        """Return a transfer from Ada to Bob, and one back."""
        return (
            lambda: transfer(self.ada.pk, self.bob.pk, 30),
            lambda: transfer(self.bob.pk, self.ada.pk, 30),
        )

    def test_the_naive_transfer_deadlocks(self) -> None:
        report = self.assertDeadlocks(*self.both_ways(transfer_naive), setup=self.make_accounts)
        self.assertEqual(len(report.victims), 1)
        self.assertFalse(Account.objects.exists(), "what schedules wrote is put back")

    def test_the_ordered_transfer_does_not(self) -> None:
        explored = self.assertNoDeadlock(*self.both_ways(transfer_ordered), setup=self.make_accounts)
        self.assertTrue(explored.complete, "in no schedule")

    def test_the_assertion_about_the_naive_one_fails_and_shows_why(self) -> None:
        with self.assertRaisesMessage(AssertionError, "A deadlock in schedule ") as raised:
            self.assertNoDeadlock(*self.both_ways(transfer_naive), setup=self.make_accounts)
        self.assertIn('to replay it, add to the call:\norder="', str(raised.exception))
        self.assertIn("DEADLOCK after", str(raised.exception))
        self.assertIn("bank/transfers.py", str(raised.exception))

    def test_the_assertion_about_the_ordered_one_fails_and_shows_why(self) -> None:
        with self.assertRaisesMessage(AssertionError, "schedules, all that can differ."):
            self.assertDeadlocks(*self.both_ways(transfer_ordered), setup=self.make_accounts)


class RetryTests(TransactionTestCase):
    """A retry meets real deadlocks: PostgreSQL aborts the transfer with 40P01, as often as the test wants."""

    def setUp(self) -> None:
        """Make two accounts."""
        self.ada, self.bob = (Account.objects.create(owner=owner, balance=100) for owner in ("Ada", "Bob"))

    def opponent(self, times: int = 1) -> provoke_deadlock:
        """Return an opponent that holds what the transfer asks for second, and wants what it asks for first."""
        return assert_survives_deadlock(
            holding=self.bob, wanting=self.ada, times=times, deadlock_timeout=0.01
        )

    def balances(self) -> list[int]:
        """Return both balances as the database has them."""
        return list(Account.objects.order_by("pk").values_list("balance", flat=True))

    def test_the_naive_transfer_does_not_survive(self) -> None:
        with self.assertRaisesMessage(AssertionError, "it got 40P01 once, and gave up"), self.opponent():
            transfer_naive(self.ada.pk, self.bob.pk, 30)
        self.assertEqual(self.balances(), [100, 100])

    def test_the_retried_transfer_survives_two_deadlocks(self) -> None:
        with self.opponent(times=2) as opponent:
            transfer_retried(self.ada.pk, self.bob.pk, 30)
        self.assertEqual((opponent.deadlocks, opponent.attempts), (2, 3))
        self.assertEqual(self.balances(), [70, 130])

    def test_it_does_not_survive_a_third(self) -> None:
        with (
            self.assertRaisesMessage(AssertionError, "it got 40P01 3 times, and gave up"),
            self.opponent(times=3),
        ):
            transfer_retried(self.ada.pk, self.bob.pk, 30)
        self.assertEqual(self.balances(), [100, 100])

    def test_a_retry_inside_atomic_is_caught(self) -> None:
        with (
            self.assertRaisesMessage(AssertionError, "put the retry around the outermost atomic()"),
            self.opponent(),
        ):
            transfer_retried_inside(self.ada.pk, self.bob.pk, 30)

    def test_the_ordered_transfer_never_gets_into_it(self) -> None:
        opponent = assert_survives_deadlock(holding=self.ada, wanting=self.bob)
        with self.assertRaisesMessage(AssertionError, "asked in an order that cannot deadlock"), opponent:
            transfer_ordered(self.bob.pk, self.ada.pk, 30)


class DatabaseUrlTests(SimpleTestCase):
    """What DATABASE_URL may say."""

    def test_everything_percent_encoded(self) -> None:
        database = database_from_url(
            "postgresql://an%40user:p%3Aw%2F@db.example:5433/a%20name?sslmode=require"
        )
        self.assertEqual(database["USER"], "an@user")
        self.assertEqual(database["PASSWORD"], "p:w/")
        self.assertEqual((database["HOST"], database["PORT"]), ("db.example", "5433"))
        self.assertEqual(database["NAME"], "a name")
        self.assertEqual(database["OPTIONS"], {"sslmode": "require"})

    def test_a_unix_socket(self) -> None:
        for url in (
            "postgresql://postgres@/postgres?host=/tmp/Socket&port=5432",
            "postgresql://postgres@/postgres?host=%2Ftmp%2FSocket&port=5432",
            "postgres://postgres@%2Ftmp%2FSocket:5432/postgres",
        ):
            with self.subTest(url):
                database = database_from_url(url)
                self.assertEqual((database["HOST"], database["PORT"]), ("/tmp/Socket", "5432"))
