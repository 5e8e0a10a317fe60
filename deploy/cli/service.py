"""`staffetta service`: the same as `python -m services.<name>`."""

from __future__ import annotations

from importlib import import_module

from shared.process import main


def run_service(name: str, *, check: bool) -> int:
    """Run it until it is asked to stop, or check it; the exit code."""
    return main(import_module(f"services.{name}.__main__").SERVICE, ["--check"] if check else [])
