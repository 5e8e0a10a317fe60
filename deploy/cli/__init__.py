"""The command line. Exit codes: 0 done; 1 some records refused, parked or uncertain; 2 wrong use or unreadable input."""

from __future__ import annotations

from deploy.cli.app import app, main

__all__ = ["app", "main"]
