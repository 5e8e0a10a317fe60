"""A stage as a service: its runner on its queues."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.bus.runner import StageRunner
from shared.creditors.checks import SecretOf
from shared.process.parts import Documents, Part, Service, Surroundings, Tick
from shared.wiring import Consumes, Setup, StageService

SWEEP_SECONDS = 3.0


def stage_service(
    name: str,
    wire: Callable[[Setup], StageService],
    consumes: tuple[Consumes, ...],
    *,
    secrets: Iterable[SecretOf] = (),
    refusals: tuple[type[Exception], ...] = (),
    documents: Documents = "",
) -> Service:
    """The service of a stage. Replicas cannot tell whether another owner lives: a lease ends by its time alone."""

    def assemble(around: Surroundings) -> Part:
        service = wire(around.setup)
        runner = StageRunner(service, around.publisher().publish, around.owner)

        def close() -> None:
            runner.close()
            service.close()

        return Part(
            database=service.database,
            handlers=dict.fromkeys(consumes, runner.handle),
            ticks=(Tick(SWEEP_SECONDS, runner.sweep),) if service.unasked else (),
            leave=runner.leave,
            close=close,
        )

    return Service(name, assemble, frozenset(secrets), refusals, documents)
