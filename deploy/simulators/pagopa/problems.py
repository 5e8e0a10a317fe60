"""What GPD answers when it does not do it: `ProblemJson`."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """An answer of 4xx or 5xx. The detail names fields, never their values."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail

    def json(self) -> dict[str, Any]:
        """The body."""
        return {"title": self.title, "status": self.status, "detail": self.detail}


def bad_request(detail: str) -> Problem:
    """400."""
    return Problem(400, "BAD REQUEST", detail)


def not_found(iupd: str) -> Problem:
    """404."""
    return Problem(404, "Not found the debt position", f"No debt position stands under iupd {iupd}")


def conflict(detail: str) -> Problem:
    """409. As in the real one, which of the unique values clashed is not for a machine to read."""
    return Problem(409, "Conflict", detail)
