"""Several threads at once, that start together and tell what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable

SECONDS = 240.0


def together(*works: Callable[[], object]) -> None:
    """Run at once; raise what any of them raises."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(SECONDS)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]
