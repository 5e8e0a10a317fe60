"""`python -m tests.bench job | relay | big | preview | readback`; each says with `--help` what it measures. `make bench` runs the first two."""

from __future__ import annotations

import sys

from tests.bench import big, job, preview, readback, relay

MEASURES = {"job": job.main, "relay": relay.main, "big": big.main, "preview": preview.main, "readback": readback.main}


def main() -> int:
    """The measure that the first argument names."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in MEASURES:
        print(f"one of: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    return MEASURES[name](arguments)


if __name__ == "__main__":
    sys.exit(main())
