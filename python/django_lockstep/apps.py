"""The Django app: add ``"django_lockstep"`` to ``INSTALLED_APPS`` and ``deadlock_test`` is there."""

from django.apps import AppConfig
from django.core.checks import register


class LockstepConfig(AppConfig):
    """No models, no signals; its system checks look at the settings only."""

    name = "django_lockstep"
    verbose_name = "django-lockstep"

    def ready(self) -> None:
        """Register the checks. Not under Django's tag ``database``: those run only where a connection is wanted."""
        from django_lockstep.checks import check_settings

        register(check_settings, "lockstep")
