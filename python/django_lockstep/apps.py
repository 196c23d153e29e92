"""The Django app: add ``"django_lockstep"`` to ``INSTALLED_APPS`` and ``deadlock_test`` is there."""

from django.apps import AppConfig


class LockstepConfig(AppConfig):
    """No models, no signals, nothing at start-up."""

    name = "django_lockstep"
    verbose_name = "django-lockstep"
