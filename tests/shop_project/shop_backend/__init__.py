"""An ENGINE of a project of its own, made from PostgreSQL's as PostGIS and django-prometheus are."""
