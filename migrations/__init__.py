"""Alembic's scripts: one dated file a change of the schema."""
