"""Records a second over RabbitMQ and PostgreSQL: the relay's, and those of Celery, Dramatiq and FastStream chains.

All on the same broker and server, one after the other: persistent messages on quorum queues, confirmed; a PostgreSQL
commit a step. The relay is the product's own services with null acts. What was done is counted in the database before a
time is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import places
from tests.bench.chains.run import CHAINS, seconds
from tests.bench.machine import described
from tests.bench.ours import Measured, measured


@dataclass(frozen=True, slots=True)
class Pace:
    """Records that went through all steps, and how long it took from the first to the last."""

    name: str
    records: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def main(arguments: Sequence[str]) -> int:
    """0; raises where something is missing at the end."""
    parser = argparse.ArgumentParser("tests.bench relay", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="records through the relay")
    parser.add_argument("--alone", type=int, default=2_000, help="records through the relay in handfuls of one")
    parser.add_argument("--chained", type=int, default=2_000, help="records through each framework's chain")
    given = parser.parse_args(arguments)
    with places.database() as database:
        broker = places.broker()
        print(*described(broker, database), sep="\n", flush=True)
        chains = [
            Pace(f"{chain.name}: {chain.setting}", given.chained, seconds(chain, given.chained, broker, database))
            for chain in (CHAINS if given.chained else ())
        ]
        whole = measured(broker, database, given.rows, 0)
        alone = measured(broker, database, given.alone, 1) if given.alone else None
    ours = [Pace("Staffetta: handfuls", whole.records, whole.seconds)]
    ours += [Pace("Staffetta: handfuls of one", alone.records, alone.seconds)] if alone else []
    tell([*ours, *chains], max(chains or ours, key=lambda pace: pace.per_second))
    tell_cpu(whole)
    return 0


def tell(paces: Sequence[Pace], best: Pace) -> None:
    """A table, with each pace as a multiple of the best chain's."""
    print(f"{'':44} {'records':>8} {'seconds':>8} {'records/s':>10} {'of the best chain':>18}")
    for pace in paces:
        ratio = pace.per_second / best.per_second
        print(f"{pace.name:44} {pace.records:8} {pace.seconds:8.1f} {pace.per_second:10.0f} {ratio:17.2f}×")


def tell_cpu(whole: Measured) -> None:
    """Where the processors' time went."""
    sizes = (f"{queue} {size:g}" for queue, size in sorted(whole.handfuls.items()))
    print(f"Staffetta: a process for each service. Handfuls on the average: {', '.join(sizes)}. Processor ms a record:")
    for name, used in whole.cpu.items():
        print(f"  {name:42} {used / whole.records * 1000:8.2f}")
    print(f"  {'together':42} {sum(whole.cpu.values()) / whole.records * 1000:8.2f}")
