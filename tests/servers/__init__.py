"""Real servers for tests: one that is there already, or Debian's packages started private on free ports."""

from __future__ import annotations

import socket


class ServerMissing(Exception):
    """Neither a server to use nor a package to start one from. Never a reason to skip a test."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
