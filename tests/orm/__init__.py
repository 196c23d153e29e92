"""Django in the suite's own process, with the tables of the deadlocks that Django projects really meet.

Importing this configures Django; ``orm.database`` makes the database.
"""

from __future__ import annotations

import django
from django.conf import settings

DATABASE = "suite_orm"

if not settings.configured:
    postgresql = {"ENGINE": "django.db.backends.postgresql", "NAME": DATABASE, "TEST": {"NAME": DATABASE}}
    settings.configure(
        DATABASES={"default": postgresql, "other": dict(postgresql)},
        INSTALLED_APPS=["django_lockstep", "django.contrib.contenttypes", "taggit", "orm"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
