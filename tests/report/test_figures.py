"""The arithmetic inside the figures."""

import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from pandas import Series

from unlearning.evaluation.result import DocumentScore, EvaluationResult
from unlearning.report.run_figures import draw_membership, draw_terms, running_mean
from unlearning.report.style import INK, method_colours, picture, write_pictures


def document(index: int, member: bool, loss: float) -> DocumentScore:
    """Return documents with these losses."""
    return DocumentScore(str(index), member, loss, zlib=math.nan, min_k=math.nan, min_k_plus=math.nan)


def test_terms_have_error_bars_where_there_is_an_interval() -> None:
    """One bar of the 12 has a score, and its line spans the interval; the zero is marked above it."""
    known = EvaluationResult({"forget_Task1_regurgitation": 1.0}, {"forget_Task1_regurgitation": [0.7, 1.0]})
    figure = Figure()
    draw_terms(
        figure,
        {"unlearned": known, "without": EvaluationResult(dict(known.metrics))},
        dict.fromkeys(("unlearned", "without"), "red"),
    )
    axis = figure.axes[0]
    lines = [path.vertices[:, 1].tolist() for bars in axis.collections for path in bars.get_paths()]
    assert [line for line in lines if not any(map(math.isnan, line))] == [pytest.approx([0.0, 0.3])]
    zeros = [text.get_position()[1] for text in axis.texts if text.get_text() == "0"]
    assert zeros == pytest.approx([0.312, 0.012])


def _scored(losses: list[tuple[bool, float]]) -> EvaluationResult:
    documents = [document(index, member, loss) for index, (member, loss) in enumerate(losses)]
    return EvaluationResult({"mia_auc": 0.75}, {"mia_auc": [0.5, 1.0]}, membership=documents)


def test_membership_shows_low_rates_and_the_area_with_its_interval() -> None:
    """Members 1 and 3, others 2 and 4: half the members lie below every other, so the logarithmic curve begins at 0.5.

    From a false-positive rate of 0.5 on, all members are found.
    """
    result = _scored([(True, 1.0), (True, 3.0), (False, 2.0), (False, 4.0)])
    for count in (1, 3):
        models = {f"model {number}": result for number in range(count)}
        figure = Figure()
        draw_membership(figure, models, dict.fromkeys(models, "red"))
        axis = next(axis for axis in figure.axes if axis.get_xscale() == "log")
        curve = axis.lines[0]
        steps = list(zip(curve.get_xdata(), curve.get_ydata(), strict=True))
        assert curve.get_drawstyle() == "steps-post"
        assert max(y for x, y in steps if x < axis.get_xlim()[0]) == 0.5
        assert steps[-2:] == [(0.5, 1.0), (1.0, 1.0)]
        told = [f"{label}\nAUC 0.750 [0.50, 1.00]" for label in models]
        assert axis.get_legend_handles_labels()[1] == [*told, "guessing\nAUC 0.50", "below 1 of 2"]
        assert [axis.get_title(loc="left") or axis.get_title() for axis in figure.axes][:count] == list(models)


def test_running_mean_leaves_gaps_out() -> None:
    assert running_mean(Series([1.0, math.nan, 3.0])).tolist() == [1.0, 2.0, 3.0]
    assert running_mean(Series([math.nan, math.nan])).isna().all()


def test_a_picture_is_the_same_every_time_and_takes_the_pages_colours(tmp_path: Path) -> None:
    def draw(figure: object) -> None:
        figure.subplots().plot([1, 2], label="$x$ <b>")  # type: ignore[attr-defined]
        figure.legend()  # type: ignore[attr-defined]

    first, second = (picture("name", "Title", "Caption", (3, 2), draw) for _ in range(2))
    assert (first, first.png) == (second, second.png)
    assert "var(--ink)" in first.svg
    assert INK not in first.svg
    assert "$x$ &lt;b&gt;" in first.svg
    assert write_pictures(tmp_path, [first]) == [tmp_path / "name.png"]
    assert (tmp_path / "name.png").read_bytes().startswith(b"\x89PNG")


def test_methods_keep_their_colours() -> None:
    colours = method_colours(["a", "b", "a"])
    assert list(colours) == ["a", "b", "untouched target", "retrained model"]
    assert colours["a"] != colours["b"]
