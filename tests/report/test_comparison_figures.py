"""What the figures of a comparison draw."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from tests.report.test_pareto import row
from unlearning.report.comparison_figures import MAX_LEGEND, draw_final, draw_tradeoff, front_numbers
from unlearning.report.runs import Run
from unlearning.report.sensitivity import SweptKey, sensitivity
from unlearning.report.statistic import Statistic
from unlearning.report.sweep_figures import (
    draw_parallel,
    draw_sensitivity,
    drawn_keys,
    parallel_axes,
    sensitivity_size,
)

ROWS = [
    row("retrained model", 0.0, 1.0, 1.0, "retrained"),
    row("strong", 0.1, 0.5, 0.4),
    row("gentle", 0.4, 0.9, 0.5),
    row("poor", 0.5, 0.4, 0.3),
]


def legend(figure: Any) -> list[str]:
    """Return the names in the legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts(figure: Any) -> set[str]:
    """Return the texts inside the axes."""
    return {text.get_text() for axis in figure.axes for text in axis.texts}


def test_front_is_drawn_as_steps() -> None:
    """From gentle (0.6, 0.9) down to the height of strong and across to it, (0.9, 0.5); poor is below."""
    figure = Figure()
    draw_tradeoff(figure, ROWS, dict.fromkeys(("strong", "gentle", "poor"), "red"))
    line = figure.axes[0].lines[0]
    assert line.get_drawstyle() == "steps-pre"
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [
        pytest.approx((0.6, 0.9)),
        pytest.approx((0.9, 0.5)),
    ]
    assert legend(figure) == ["retrained model", "strong", "gentle", "poor"]


def test_of_very_many_methods_those_on_the_front_have_numbers() -> None:
    """The others are grey, and the legend names the numbered ones alone."""
    many = [row(f"poor {index}", 0.5 + index / 100, 0.3, 0.2) for index in range(MAX_LEGEND)]
    rows = [*ROWS, *many]
    assert front_numbers(rows) == {"gentle": 1, "strong": 2}
    figure = Figure()
    draw_tradeoff(figure, rows, dict.fromkeys((item.label for item in rows), "red"))
    assert {"1", "2"} <= texts(figure)
    assert "poor" not in texts(figure)
    assert legend(figure) == ["retrained model", "1  gentle", "2  strong"]


def test_points_of_the_front_that_coincide_share_a_place() -> None:
    """The numbers of two equal methods stand beside each other: 1, 2."""
    many = [row(f"poor {index}", 0.9, 0.3, 0.2) for index in range(MAX_LEGEND)]
    rows = [row("a", 0.1, 0.5, 0.4), row("b", 0.1, 0.5, 0.4), *many]
    figure = Figure()
    draw_tradeoff(figure, rows, dict.fromkeys((item.label for item in rows), "red"))
    assert "1, 2" in texts(figure)


def test_a_whisker_is_the_interval() -> None:
    """It was cut at what is possible when it was computed."""
    item = row("wide", 0.1, 0.5, 0.4)
    item = replace(item, values={**item.values, "final": Statistic(0.9, 0.88, 0.92, 5, (0.65, 1.0))})
    figure = Figure()
    draw_final(figure, [item], {"wide": "red"})
    assert list(figure.axes[0].lines[0].get_xdata()) == [0.65, 1.0]


def test_parallel_axes_by_hand() -> None:
    """Rates 0.001, 0.01 and 0.1 lie at 0, 1/2 and 1 of a logarithmic axis; the words by name; scores from least to
    greatest."""
    keys = [SweptKey("optimizer.lr", ("0.01", "0.001", "0.1")), SweptKey("method", ("b", "a", "c"))]
    rate, method, final = parallel_axes(keys, [0.5, 0.2, 0.8])
    assert rate.name == "optimizer.lr (log)"
    assert rate.places == pytest.approx((0.5, 0.0, 1.0))
    assert [(pytest.approx(place), text) for place, text in rate.ticks] == [(0, "0.001"), (0.5, "0.01"), (1, "0.1")]
    assert method.places == pytest.approx((0.5, 0.0, 1.0))
    assert final.places == pytest.approx((0.5, 0.0, 1.0))
    assert final.ticks == ((0.0, "0.200"), (1.0, "0.800"))


def test_lines_at_one_place_lie_side_by_side() -> None:
    """The better above, around the place; equal numbers elsewhere are not moved."""
    (axis, _) = parallel_axes([SweptKey("method", ("a", "a", "a", "b"))], [0.3, 0.1, 0.2, 0.9])
    first, second, third, other = axis.places
    assert second < third < first
    assert third == pytest.approx(0)
    assert first == pytest.approx(-second)
    assert other == 1


def test_lines_of_neighbouring_values_do_not_mix() -> None:
    """Of twenty values each keeps within less than half the distance to the next."""
    texts_ = tuple(f"v{index:02}" for index in range(20) for _ in range(3))
    (axis, _) = parallel_axes([SweptKey("method", texts_)], [index % 7 / 7 for index in range(60)])
    groups = [axis.places[3 * index : 3 * index + 3] for index in range(20)]
    assert all(max(low) < min(high) for low, high in itertools.pairwise(groups))


def test_many_numbers_have_three_ticks_and_near_ones_one() -> None:
    """Ends and middle; what would be written over the one before is left out."""
    drawn = SweptKey("optimizer.lr", tuple(repr(10 ** (-4 + index / 5)) for index in range(11)))
    ticks = parallel_axes([drawn], list(map(float, range(11))))[0].ticks
    assert [text for _, text in ticks] == ["0.0001", "0.001", "0.01"]
    near = parallel_axes([SweptKey("optimizer.lr", ("1.0", "1.01", "2.0"))], [0.1, 0.2, 0.3])[0].ticks
    assert [text for _, text in near] == ["1.0", "2.0"]


def test_parallel_lines_are_as_many_as_runs_and_the_best_is_on_top() -> None:
    """The selected ones are thick; equal scores do not divide by zero."""
    figure = Figure()
    axes = parallel_axes([SweptKey("method", ("a", "b", "b"))], [0.3, 0.9, 0.1])
    draw_parallel(figure, axes, [0.3, 0.9, 0.1], [False, True, False])
    lines = figure.axes[0].lines
    assert len(lines) == 3
    top = max(lines, key=lambda line: line.get_zorder())
    assert top.get_linewidth() > min(line.get_linewidth() for line in lines)
    assert list(top.get_ydata())[-1] == 1
    equal = parallel_axes([SweptKey("method", ("a", "b"))], [0.5, 0.5])
    draw_parallel(Figure(), equal, [0.5, 0.5], [False, False])
    assert equal[-1].places == (0.5, 0.5)


def test_every_run_is_a_point_of_the_sensitivity_figure() -> None:
    """In each column those that have the number; a bar at each mean; eta squared in the corner."""
    runs = [
        Run(Path(str(index)), str(index), {}, "finished", metrics={"final": final, "utility": utility})
        for index, (final, utility) in enumerate([(1.0, 0.1), (3.0, None), (5.0, 0.3), (7.0, 0.5)])
    ]
    item = sensitivity(runs, SweptKey("optimizer.lr", ("0.1", "0.1", "0.2", "0.2")))
    assert drawn_keys([item]) == [item]
    figure = Figure(sensitivity_size([item]))
    draw_sensitivity(figure, [item], runs)
    final, aggregate, _, utility = figure.axes
    scattered = [[dots for dots in axis.collections if isinstance(dots, PathCollection)] for axis in figure.axes]
    points = [sorted(len(dots.get_offsets()) for dots in here) for here in scattered]
    assert points == [[4], [0], [0], [3]]
    assert final.get_title(loc="right") == "η² 0.80"
    assert aggregate.get_title(loc="right") == ""
    assert [label.get_text() for label in final.get_yticklabels()] == ["0.1", "0.2"]
    # Means 2 and 6 joined; of utility 0.1 and 0.4.
    assert [tuple(line.get_xdata()) for line in (final.lines[0], utility.lines[0])] == [(2.0, 6.0), (0.1, 0.4)]


def test_words_are_not_joined() -> None:
    """The means of methods are not joined, since methods have no order."""
    runs = [Run(Path(str(index)), str(index), {}, "finished", metrics={"final": index / 4}) for index in range(4)]
    item = sensitivity(runs, SweptKey("method", ("a", "a", "b", "b")))
    figure = Figure(sensitivity_size([item]))
    draw_sensitivity(figure, [item], runs)
    assert not figure.axes[0].lines
    assert math.isclose(sensitivity_size([item, item])[1] - sensitivity_size([item])[1], 0.5 + 0.27 * 2)
