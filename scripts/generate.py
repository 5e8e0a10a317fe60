"""Write the generated files, or say with `--check` which of them are stale (`make generate`, `make check`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each file and what makes its text from the text that stands there (empty where there is none).
GENERATED: dict[str, Callable[[str], str]] = {}


def main() -> int:
    """Returns 0, or with `--check` 1 where a file is not what would be generated now."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for name, make in GENERATED.items():
        path = ROOT / name
        standing = path.read_text(encoding="utf-8") if path.exists() else ""
        wanted = make(standing)
        if wanted == standing:
            continue
        stale += 1
        if check:
            print(f"{name} is stale: make generate", file=sys.stderr)
        else:
            path.write_text(wanted, encoding="utf-8")
            print(f"{name} written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
