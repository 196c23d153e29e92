"""Models of every kind that ``--model`` can meet."""

from __future__ import annotations

from typing import Any

from django.db import models


class Item(models.Model):
    """As most models are."""


class Special(Item):
    """Its primary key is the link to its parent."""

    note = models.TextField()


class Wrapped(models.Model):
    """Its primary key is a relation to that."""

    special = models.OneToOneField(Special, models.CASCADE, primary_key=True)


class Proxied(Item):
    """The same rows by another name."""

    class Meta:
        proxy = True


class Odd(models.Model):
    """A table and a column whose names need quoting."""

    number = models.SmallIntegerField(primary_key=True, db_column="Odd key")

    class Meta:
        db_table = "Odd table; --"


class Shelf(models.Model):
    """In a schema of its own, by Django's folklore; made by the tests."""

    class Meta:
        managed = False
        db_table = 'shelves"."shelf'


class Window(models.Model):
    """A view, made by the tests."""

    class Meta:
        managed = False
        db_table = "shop_window"


class Phantom(models.Model):
    """Nobody has made its table."""

    class Meta:
        managed = False


class Elsewhere(models.Model):
    """The router sends it to another database."""


class Coded(models.Model):
    """Its primary key is no integer."""

    code = models.CharField(max_length=9, primary_key=True)


class Paired(models.Model):
    """Its primary key is two columns."""

    pk = models.CompositePrimaryKey("left", "right")
    left = models.IntegerField()
    right = models.IntegerField()


class Idea(models.Model):
    """Abstract."""

    class Meta:
        abstract = True


class Swapped(models.Model):
    """The settings say that another model stands in for it."""

    class Meta:
        swappable = "SHOP_SWAPPED_MODEL"


class Router:
    """Sends one model elsewhere."""

    def db_for_write(self, model: type[models.Model], **_hints: Any) -> str | None:
        return "other" if model is Elsewhere else None
