"""Which cases of a grid the default run has."""

import pytest

from tests.rotation import each_once, thin_out

pytest_plugins = ["pytester"]

NAMED = '@pytest.mark.by_default("b")\n@pytest.mark.parametrize("name", "abc")\ndef test_named(name): ...\n'
"""A test of which one case runs by default."""


def kept(pytester: pytest.Pytester, source: str) -> list[str]:
    """Return the names of the cases in a file of tests that are not marked as exhaustive."""
    items = pytester.getitems(f"import pytest\n{source}")
    thin_out(items)
    return [item.name for item in items if item.get_closest_marker("exhaustive") is None]


def test_a_grid_keeps_each_value_of_each_parameter(pytester: pytest.Pytester) -> None:
    """Of 3 x 2 x 2 cases the diagonal remains; two parameters of one decorator are one."""
    source = """
@pytest.mark.grid
@pytest.mark.parametrize(("a", "b"), [(7, 0), (8, 0)])
@pytest.mark.parametrize("c", "xyz")
@pytest.mark.parametrize("d, e", [(True, None), (False, None)])
def test_grid(a, b, c, d, e): ...
"""
    names = [f"test_grid[{case}]" for case in ("True-None-x-7-0", "False-None-y-8-0", "True-None-z-7-0")]
    assert sorted(kept(pytester, source)) == sorted(names)


def test_grids_are_thinned_one_by_one_and_other_tests_are_left_alone(pytester: pytest.Pytester) -> None:
    """Each test has its own lengths."""
    both = '@pytest.mark.parametrize("a", "xy")\n@pytest.mark.parametrize("b", {})\ndef test_{}(a, b): ...\n'
    source = f"@pytest.mark.grid\n{both.format([1, 2], 'short')}"
    source += f"@pytest.mark.grid\n{both.format([1, 2, 3], 'long')}{both.format([1, 2], 'whole')}"
    assert sorted(kept(pytester, f"{source}def test_plain(): ...")) == [
        *("test_long[1-x]", "test_long[2-y]", "test_long[3-x]", "test_plain", "test_short[1-x]", "test_short[2-y]"),
        *("test_whole[1-x]", "test_whole[1-y]", "test_whole[2-x]", "test_whole[2-y]"),
    ]


def test_named_cases_are_kept(pytester: pytest.Pytester) -> None:
    """The other cases are left to `-m exhaustive`."""
    assert kept(pytester, NAMED) == ["test_named[b]"]


def test_a_named_case_that_is_not_there_is_refused(pytester: pytest.Pytester) -> None:
    """A misspelt name would leave the default run without the case."""
    with pytest.raises(pytest.UsageError, match="names a case that is not there"):
        kept(pytester, NAMED.replace('"b"', '"B"'))


def test_two_lists_are_met_once() -> None:
    """All pairs are there; without a mark are those in which every value of either list occurs."""
    cases = each_once("abc", [1, 2])
    assert len(cases) == 6
    assert [case.values for case in cases if not case.marks] == [("a", 1), ("b", 2), ("c", 1)]
