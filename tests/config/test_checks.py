"""Ranges are declared with the fields, and one walk through the settings names the key that is out of its range."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from unlearning.config.checks import above, at_least, check_ranges, one_of, require, some_of, within
from unlearning.config.registration import schemas
from unlearning.errors import InputError


@dataclass
class Inner:
    """Settings inside others."""

    number: int = at_least(1, 2)
    limit: float | None = above(0, None)

    def check(self, key: str) -> None:
        """Raise InputError where the number is above the limit."""
        require(self.limit is None or self.number <= self.limit, f"{key}.number", self.number, f"{key}.limit or less")


@dataclass
class Outer:
    """Settings with every kind of range, and with settings inside."""

    share: float = within("(0, 1]", 1.0)
    below_one: float = within("[0, 1)", 0.0)
    color: str = one_of(("red", "blue"), "red")
    parts: list[str] = some_of(("a", "b"), ["a"])
    free: float = -5.0
    inner: Inner = field(default_factory=Inner)
    named: dict[str, Inner] = field(default_factory=dict)
    several: list[Inner] = field(default_factory=list)


CASES: list[tuple[Outer, str]] = [
    (Outer(share=0.0), "share=0.0: must be in (0, 1]"),
    (Outer(share=1.5), "share=1.5: must be in (0, 1]"),
    (Outer(share=math.nan), "share=nan: must be in (0, 1]"),
    (Outer(below_one=1.0), "below_one=1.0: must be in [0, 1)"),
    (Outer(below_one=-0.1), "below_one=-0.1: must be in [0, 1)"),
    (Outer(color="green"), "color=green: must be one of red, blue"),
    (Outer(parts=[]), "parts=[]: must be some of a, b"),
    (Outer(parts=["a", "c"]), "parts=c: must be one of a, b"),
    (Outer(inner=Inner(number=0)), "inner.number=0: must be 1 or more"),
    (Outer(inner=Inner(limit=0.0)), "inner.limit=0.0: must be above 0, or null"),
    (Outer(inner=Inner(3, 2.0)), "inner.number=3: must be inner.limit or less"),
    (Outer(named={"x": Inner(), "y": Inner(number=0)}), "named.y.number=0: must be 1 or more"),
    (Outer(several=[Inner(), Inner(4, 2.0)]), "several.1.number=4: must be several.1.limit or less"),
    (Outer(share=2.0, inner=Inner(number=0)), "share=2.0: must be in (0, 1]"),
]


@pytest.mark.parametrize(("settings", "message"), CASES, ids=[message.partition(":")[0] for _, message in CASES])
def test_out_of_range(settings: Outer, message: str) -> None:
    """The error names the key, the value and what is allowed."""
    with pytest.raises(InputError) as caught:
        check_ranges(settings, "")
    assert str(caught.value) == message


def test_keys_begin_with_the_key_of_the_settings() -> None:
    """A part of the settings can be checked alone, under its own key."""
    with pytest.raises(InputError, match=r"^data\.inner\.number=0: must be 1 or more$"):
        check_ranges(Outer(inner=Inner(number=0)), "data")


@pytest.mark.parametrize(
    "settings",
    [
        Outer(),
        Outer(share=1.0, below_one=0.999, color="blue", parts=["b", "a"]),
        Outer(inner=Inner(1, 1e-9 + 1), named={"x": Inner()}, several=[Inner(limit=math.inf)]),
    ],
)
def test_in_range(settings: Outer) -> None:
    """Both ends of an interval are allowed where it says so, and infinity where it has no end."""
    check_ranges(settings, "")


def test_each_default_is_a_value_of_its_own() -> None:
    """A list that one object changes does not change the default of the next."""
    Outer().parts.append("b")
    assert Outer().parts == ["a"]


@pytest.mark.parametrize("schema", [found for _, found in schemas()], ids=lambda found: found.__name__)
def test_every_default_is_in_its_range(schema: type[Any]) -> None:
    """A range is text and plain data, and holds for the default beside it."""
    for item in fields(schema):
        assert set(item.metadata) <= {"allowed", "interval", "choices", "some_of"}
        assert "allowed" in item.metadata or not item.metadata
    only_ranges = type(schema.__name__, (schema,), {"check": lambda *_: None})
    check_ranges(only_ranges(), "settings")
