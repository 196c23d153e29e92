"""A project that the tests of ``deadlock_test`` drive; its databases come from the environment, as JSON."""

from __future__ import annotations

import json
import os
import sys

if os.environ.get("SHOP_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # as if it were not installed

SECRET_KEY = "tests have no secrets"
INSTALLED_APPS = ["django_lockstep", "shop"]
DATABASES = json.loads(os.environ["SHOP_DATABASES"])
DATABASE_ROUTERS = json.loads(os.environ.get("SHOP_ROUTERS", '["shop.models.Router"]'))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SHOP_SWAPPED_MODEL = "shop.Item"
