"""The process that prints, because templates are not trusted: `python -m services.render.adapters.worker FD`.

It gets its kit and then jobs, pickled, over the socket FD, and answers in JSON and raw bytes: nothing that a hostile
template could have forged is ever unpickled by the parent. When the parent dies, the socket closes and it ends.
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import select
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from services.render.ports import Answer, Lost, Misprint, Printed, Unmade

if TYPE_CHECKING:
    from services.render.adapters.kit import Kit


def main(descriptor: int) -> None:
    """Print until the parent goes."""
    line: Connection[object, object] = Connection(descriptor)
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()
    logging.disable(logging.CRITICAL)  # WeasyPrint logs what it reads in a template: personal data
    kit: Kit = line.recv()  # type: ignore[assignment]
    from services.render.adapters.printer import Printer  # noqa: PLC0415 - after the watcher: a second of imports

    printer = Printer(kit)
    limits = kit.limits
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    line.send_bytes(b"ready")
    while True:
        job = line.recv()
        soft = math.ceil(time.process_time()) + limits.cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
        try:
            answer: Answer = printer.make(job)  # type: ignore[arg-type]
        except Exception as error:
            answer = Lost(f"render-{type(error).__name__}")
        send(line, answer)


def send(line: Connection[object, object], answer: Answer) -> None:
    """An answer as JSON, followed by the documents that it announces."""
    match answer:
        case Printed():
            documents = [answer.notice, answer.letter]
            head = {"documents": [each is not None for each in documents], "verified": answer.verified}
            line.send_bytes(json.dumps(head).encode())
            for each in documents:
                if each is not None:
                    line.send_bytes(each)
        case Unmade():
            line.send_bytes(json.dumps({"code": answer.code, "detail": answer.detail}).encode())
        case Misprint():
            line.send_bytes(json.dumps({"misprint": answer.code}).encode())
        case Lost():
            line.send_bytes(json.dumps({"lost": answer.code}).encode())


def receive(line: Connection[object, object]) -> Answer:
    """What `send` sent. Raises `EOFError` or `OSError` where the other side died."""
    head = json.loads(line.recv_bytes(1 << 20))
    if "documents" in head:
        notice, letter = (line.recv_bytes(1 << 26) if there else None for there in head["documents"])
        return Printed(notice, letter, str(head["verified"]))
    if "code" in head:
        return Unmade(str(head["code"]), str(head["detail"]))
    return Misprint(str(head["misprint"])) if "misprint" in head else Lost(str(head["lost"]))


def _end_with(descriptor: int) -> None:
    """End at once when the parent is gone, whatever is being printed: nobody waits for it any more."""
    watch = select.poll()
    watch.register(descriptor, select.POLLHUP | select.POLLRDHUP)
    while not any(what & (select.POLLHUP | select.POLLRDHUP | select.POLLERR) for _, what in watch.poll()):
        pass
    os._exit(0)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
