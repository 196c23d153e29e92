"""What the bank keeps."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Account(models.Model):
    """An account, its balance in cents."""

    owner = models.CharField(max_length=100)
    balance = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(balance__gte=0), name="balance_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.owner}: {self.balance}"
