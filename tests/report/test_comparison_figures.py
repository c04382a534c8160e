"""What the figures of a comparison draw."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pandas import Series

from tests.report.test_pareto import row
from unlearning.report.comparison_figures import (
    MAX_LEGEND,
    MAX_TICKS,
    crossings,
    draw_budget,
    draw_final,
    draw_parallel,
    draw_sensitivity,
    draw_tradeoff,
    drawn_keys,
)
from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.comparison_view import tradeoff_caption
from unlearning.report.runs import Run
from unlearning.report.sensitivity import SweptKey, sensitivity
from unlearning.report.statistic import Statistic
from unlearning.report.style import MUTED, method_colours

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
    draw_tradeoff(figure, ROWS, method_colours(item.label for item in ROWS))
    line = figure.axes[0].lines[0]
    assert line.get_drawstyle() == "steps-pre"
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [
        pytest.approx((0.6, 0.9)),
        pytest.approx((0.9, 0.5)),
    ]
    assert legend(figure) == ["retrained model", "strong", "gentle", "poor"]


@pytest.mark.parametrize(
    ("rows", "titles", "marks"),
    [
        (ROWS, ["Retain rows", "General knowledge"], {"The star", "A ring"}),
        ([row("alone", 0.1, 0.5, 0.4)], ["Retain rows", "General knowledge"], set()),
        ([row("alone", 0.1, 0.5, None), row("target", 1.0, 1.0, None, "target")], ["Retain rows"], {"The square"}),
        ([row("lost", None, 0.5, 0.4)], ["Retain rows"], set()),
    ],
)
def test_the_figure_has_the_panels_that_were_measured(
    rows: list[ComparisonRow], titles: list[str], marks: set[str]
) -> None:
    """No panel is empty beside a full one, and the caption explains no mark that is not there."""
    figure = Figure()
    draw_tradeoff(figure, rows, method_colours(item.label for item in rows))
    assert [axis.get_title() for axis in figure.axes] == titles
    caption = tradeoff_caption(rows)
    assert {mark for mark in ("The star", "The square", "A ring", "grey") if mark in caption} == marks


def test_of_very_many_methods_those_on_the_front_have_colours_and_names() -> None:
    """Theirs are different from one another; the others are grey."""
    many = [row(f"poor {index}", 0.5 + index / 100, 0.3, 0.2) for index in range(MAX_LEGEND)]
    rows = [*ROWS, *many]
    figure = Figure()
    draw_tradeoff(figure, rows, method_colours(item.label for item in rows))
    assert legend(figure) == ["retrained model", "strong", "gentle"]
    dots = [dot for dot in figure.axes[0].collections if dot.get_label() in ("strong", "gentle")]
    greys = [dot for dot in figure.axes[0].collections if dot.get_alpha() == 0.45]
    assert len({to_hex(dot.get_facecolor()[0]) for dot in dots}) == 2
    assert {to_hex(dot.get_facecolor()[0]) for dot in greys} == {MUTED}
    assert len(greys) == MAX_LEGEND + 1


def test_a_whisker_is_the_interval() -> None:
    """It was cut at what is possible when it was computed."""
    item = row("wide", 0.1, 0.5, 0.4)
    item = replace(item, values={**item.values, "final": Statistic(0.9, 0.88, 0.92, 5, (0.65, 1.0))})
    figure = Figure()
    draw_final(figure, [item], {"wide": "red"})
    assert list(figure.axes[0].lines[0].get_xdata()) == [0.65, 1.0]


def test_a_model_without_a_final_score_is_incomplete() -> None:
    """Its bar has the parts that are known, and no whisker."""
    figure = Figure()
    draw_final(figure, [row("half", 0.1, 0.5, 0.4)], {"half": "red"})
    assert "incomplete" in texts(figure)
    assert not figure.axes[0].lines


def test_values_stand_in_order_at_equal_distances() -> None:
    """Three rates cross in the middle of the lower, the middle and the upper third; words stand by name."""
    scores = Series([0.5, 0.2, 0.8])
    rate, ticks = crossings(SweptKey("optimizer.lr", ("0.01", "0.001", "0.1")), scores)
    assert rate.tolist() == pytest.approx([1 / 2, 1 / 6, 5 / 6])
    assert list(ticks) == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert list(ticks.values()) == ["0.001", "0.01", "0.1"]
    assert crossings(SweptKey("method", ("b", "a", "c")), scores)[0].tolist() == pytest.approx([1 / 2, 1 / 6, 5 / 6])


def test_lines_at_one_value_lie_side_by_side() -> None:
    """The better above, around the middle of the lower half; the fourth run alone has the upper half's middle."""
    places, _ = crossings(SweptKey("method", ("a", "a", "a", "b")), Series([0.3, 0.1, 0.2, 0.9]))
    assert places.tolist() == pytest.approx([0.3, 0.2, 0.25, 0.75])


def test_lines_of_neighbouring_values_do_not_mix_and_of_many_values_some_are_named() -> None:
    """Of twenty values each keeps within less than half the distance to the next; every second is named."""
    key = SweptKey("method", tuple(f"v{index:02}" for index in range(20) for _ in range(3)))
    places, ticks = crossings(key, Series([index % 7 / 7 for index in range(60)]))
    groups = [places[3 * index : 3 * index + 3] for index in range(20)]
    assert all(max(low) < min(high) for low, high in itertools.pairwise(groups))
    assert list(ticks.values()) == [f"v{index:02}" for index in range(0, 20, 2)]
    assert len(ticks) <= MAX_TICKS


def test_parallel_lines_are_as_many_as_runs_and_the_best_is_on_top() -> None:
    """The selected one is thick; scores go from least to greatest, and equal scores do not divide by zero."""
    figure = Figure()
    draw_parallel(figure, [SweptKey("method", ("a", "b", "b"))], [0.3, 0.9, 0.1], [False, True, False])
    lines = [line for line in figure.axes[0].lines if len(line.get_ydata()) == 2 and list(line.get_xdata()) == [0, 1]]
    assert [line.get_ydata()[-1] for line in lines] == pytest.approx([0, 0.25, 1])
    assert lines[-1].get_linewidth() > max(line.get_linewidth() for line in lines[:-1])
    assert {"method", "final score", "0.100", "0.900"} <= texts(figure)
    equal = Figure()
    draw_parallel(equal, [SweptKey("method", ("a", "b"))], [0.5, 0.5], [False, False])
    assert "0.500" in texts(equal)


def test_every_run_is_a_point_of_the_sensitivity_figure() -> None:
    """In each column those that have the number; a bar at each mean; eta squared in the corner."""
    runs = [
        Run(Path(str(index)), str(index), {}, "finished", metrics={"final": final, "utility": utility})
        for index, (final, utility) in enumerate([(1.0, 0.1), (3.0, None), (5.0, 0.3), (7.0, 0.5)])
    ]
    item = sensitivity(runs, SweptKey("optimizer.lr", ("0.1", "0.1", "0.2", "0.2")))
    assert drawn_keys([item]) == [item]
    figure = Figure()
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
    figure = Figure()
    draw_sensitivity(figure, [item], runs)
    assert not figure.axes[0].lines


def test_the_best_score_so_far_by_hand() -> None:
    """Three jobs of 60, 120, 60 s with scores 0.4, 0.3, 0.6, in the order of their numbers; one of another preset."""
    jobs = [
        ("10-npo", 60, 0.6, "npo"),
        ("2-npo", 120, 0.3, "npo"),
        ("1-npo", 60, 0.4, "npo"),
        ("0-wga", 30, 0.5, "wga"),
    ]
    runs = [
        Run(Path(place), place, {"method": method}, "finished", metrics={"final": final}, training={"seconds": seconds})
        for place, seconds, final, method in jobs
    ]
    figure = Figure()
    draw_budget(figure, runs)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["npo, 3 runs"].get_xdata().tolist() == [1.0, 3.0, 4.0]
    assert lines["npo, 3 runs"].get_ydata().tolist() == [0.4, 0.4, 0.6]
    assert lines["wga, 1 run"].get_ydata().tolist() == [0.5]
    assert legend(figure) == ["wga, 1 run", "npo, 3 runs"]
