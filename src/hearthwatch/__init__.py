"""Hearthwatch: a home camera's picture becomes an assessed event."""

__version__ = "0.1.0"
