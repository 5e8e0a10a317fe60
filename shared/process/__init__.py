"""One service as a process of its own: settings, signals, health, topology, queues, clock.

`services/<name>/__main__.py` says what its service is made of (`Service`); `main` runs it, or checks it with `--check`.
"""

from shared.process.parts import Part, Service, Surroundings, Tick
from shared.process.run import main
from shared.process.stages import stage_service

__all__ = ["Part", "Service", "Surroundings", "Tick", "main", "stage_service"]
