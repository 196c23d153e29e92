"""Deterministic PostgreSQL deadlocks for Django."""
