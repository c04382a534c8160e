"""Grids of cases of which the default run takes a part, and `-m exhaustive` the rest as well."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest


def left_out(exhaustive: bool) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a case that only `-m exhaustive` runs, or of one that always runs."""
    return (pytest.mark.exhaustive,) if exhaustive else ()


def each_once(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return all pairs as pytest's parameters; by default those run in which each value of either occurs once or more.

    The longer list goes through its values once, the shorter one round and round.
    """
    pairs = [(i, j) for i in range(len(first)) for j in range(len(second))]
    return [
        pytest.param(first[i], second[j], marks=left_out((i - j) % min(len(first), len(second)) != 0)) for i, j in pairs
    ]


def thin_out(items: Sequence[pytest.Item]) -> None:
    """Mark as exhaustive the cases that the default run leaves out, of tests with one of two marks.

    Of a test marked `grid`, which has several `parametrize` decorators, those cases remain in which each value of a
    parameter occurs: the longest decorator goes through its values once, the others round and round. Of a test marked
    `by_default`, the cases with the ids that the mark names remain.
    """
    tests: dict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for name, cases in tests.items():
        chosen = cases[0].get_closest_marker("by_default")
        if chosen is not None:
            kept = [case for case in cases if case.callspec.id in chosen.args]
            if len(kept) < len(chosen.args) < len(cases):
                raise pytest.UsageError(f"{name}: the mark by_default names a case that is not there: {chosen.args}")
        elif cases[0].get_closest_marker("grid") is not None:
            kept = _diagonal(cases)
        else:
            continue
        for case in cases:
            if case not in kept:
                case.add_marker(pytest.mark.exhaustive)


def _diagonal(cases: Sequence[pytest.Function]) -> list[pytest.Function]:
    """Return the cases in which each value of each decorator occurs."""
    columns = [_places(cases, mark) for mark in cases[0].iter_markers("parametrize")]
    longest = max(columns, key=max)
    return [
        case
        for case, place, own in zip(cases, longest, zip(*columns, strict=True), strict=True)
        if all(value == place % (1 + max(column)) for value, column in zip(own, columns, strict=True))
    ]


def _places(cases: Sequence[pytest.Function], mark: pytest.Mark) -> list[int]:
    """Return for each case which value of a decorator it has, by the order in which they come.

    Pytest's own `callspec.indices` count the cases and not the values.
    """
    names = mark.args[0].replace(",", " ").split() if isinstance(mark.args[0], str) else mark.args[0]
    # A value is the same object in all of its cases.
    values = [tuple(id(case.callspec.params[name]) for name in names) for case in cases]
    order = list(dict.fromkeys(values))
    return [order.index(value) for value in values]
