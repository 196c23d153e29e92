"""Tables that deadlocks happen on: rows, parents and children, unique names, a many-to-many relation, counters."""

from __future__ import annotations

from typing import Any

from django.db import models
from ordered_model.models import OrderedModel
from taggit.managers import TaggableManager


class Row(models.Model):
    """What all of them are."""

    objects: models.Manager[Any] = models.Manager()

    class Meta:
        abstract = True


class Account(Row):
    """Rows to lock and to change."""

    balance = models.IntegerField(default=100)


class Parent(Row):
    """What children refer to."""

    number = models.IntegerField(default=0)


class Child(Row):
    """Its foreign key is checked at COMMIT, as Django's are."""

    parent = models.ForeignKey(Parent, models.CASCADE)
    value = models.IntegerField(default=0)


class Tag(Row):
    """A unique name, and a counter."""

    name = models.CharField(max_length=20, unique=True)
    count = models.IntegerField(default=0)


class Person(Row):
    """In groups."""

    groups: models.ManyToManyField[Any, Any] = models.ManyToManyField("Group")


class Group(Row):
    """Of people."""


class Note(Row):
    """With tags by django-taggit."""

    tags: Any = TaggableManager()


class Ranked(OrderedModel):  # type: ignore[misc]  # it has no types
    """In an order, by django-ordered-model."""

    class Meta(OrderedModel.Meta):  # type: ignore[misc]
        """As the package has it."""
