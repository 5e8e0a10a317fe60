"""Threads that share commits."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from shared.bus.group_commit import GroupCommit
from tests.together import SECONDS, together


class Book:
    """Commits; the first commit waits until `others` wait for theirs. A row that is `None` meets an outage, `wrong` is one
    that no database holds."""

    def __init__(self, others: int) -> None:
        self.commits: list[dict[str, str | None]] = []
        self.group: GroupCommit[str, str | None] = GroupCommit(self.commit)
        self._others = others
        self._begun = threading.Event()

    def commit(self, rows: Mapping[str, str | None]) -> set[str]:
        self.commits.append(dict(rows))
        if len(self.commits) == 1:
            self._begun.set()
            while len(self.group._waiting) < self._others:
                pass
        if None in rows.values():
            raise ConnectionError
        if "wrong" in rows.values():
            raise ValueError
        done = {key for before in self.commits[:-1] if "wrong" not in before.values() for key in before}
        return rows.keys() - done

    def first(self) -> None:
        assert self.group({"first": "x"}) == {"first"}

    def after(self, key: str, row: str | None = "x") -> set[str]:
        assert self._begun.wait(SECONDS)
        return self.group({key: row})


def test_who_comes_while_a_commit_runs_shares_the_next_one() -> None:
    book = Book(3)
    together(book.first, *(lambda key=key: book.after(key) for key in "abc"))
    assert [sorted(rows) for rows in book.commits] == [["first"], ["a", "b", "c"]]


def test_the_same_key_twice_is_two_commits_and_one_change() -> None:
    book, changed = Book(2), []
    together(book.first, *(lambda: changed.append("a" in book.after("a")) for _ in range(2)))
    assert [sorted(rows) for rows in book.commits] == [["first"], ["a"], ["a"]]
    assert sorted(changed) == [False, True]


def test_an_outage_is_everybodys_who_shared_the_commit_and_not_the_next_ones() -> None:
    book, raised = Book(2), []

    def after(key: str, row: str | None) -> None:
        try:
            book.after(key, row)
        except ConnectionError:
            raised.append(key)

    together(book.first, lambda: after("a", None), lambda: after("b", "x"))
    assert sorted(raised) == ["a", "b"]
    assert book.group({"c": "x"}) == {"c"}
    with pytest.raises(ConnectionError):
        book.group({"d": None})


def test_a_row_that_no_database_holds_is_its_own_failure() -> None:
    book, ended = Book(3), []

    def after(key: str, row: str) -> None:
        try:
            ended.append((key, key in book.after(key, row)))
        except ValueError:
            ended.append((key, False))

    together(book.first, lambda: after("a", "x"), lambda: after("b", "wrong"), lambda: after("c", "x"))
    assert sorted(ended) == [("a", True), ("b", False), ("c", True)]
