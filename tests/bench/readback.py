"""What reading a notice back costs, apart from printing it: `python -m tests.bench readback`. CPU time of this process."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from services.render.adapters.notice import NoticePress
from services.render.adapters.notice_readback import read_notice
from services.render.adapters.texts import load_slip_words
from tests.notice_hand import Variant, words

MEASURED = (Variant(), Variant(slips=True), Variant(instalments=3), Variant(instalments=12, slips=True))


def main(arguments: Sequence[str]) -> int:
    """Always 0: nothing is asked of it but to say."""
    parser = argparse.ArgumentParser("tests.bench readback", description=__doc__)
    parser.add_argument("--notices", type=int, default=50)
    given = parser.parse_args(arguments)
    press = NoticePress({("it",): words(None, ("it",))}, load_slip_words(), {})
    print("variant         print  read back  with raster   (CPU ms a notice, median)")
    for variant in MEASURED:
        notice, record, creditor = variant.notice(), variant.record(), variant.creditor()
        sheet, pdf = press.sheet(notice.shape), press.pdf(notice, None, facsimile=False)
        read = partial(read_notice, pdf, sheet, record, creditor, facsimile=False)
        printing = _cpu_ms(partial(press.pdf, notice, None, facsimile=False), max(given.notices // 5, 3))
        plain, raster = _cpu_ms(read, given.notices), _cpu_ms(partial(read, raster=True), max(given.notices // 5, 3))
        print(f"{variant!s:14} {printing:6.1f} {plain:10.1f} {raster:12.1f}")
    return 0


def _cpu_ms(act: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.process_time()
        act()
        taken.append(time.process_time() - started)
    return statistics.median(taken) * 1000
