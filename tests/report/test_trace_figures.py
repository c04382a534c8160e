"""The pictures of causal tracing: what is drawn is what was measured."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.report.fabricated_trace import CONFIG, PLAIN, trace_result, write_trace_run
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TracedTokens
from unlearning.errors import InputError
from unlearning.mediation.result import Metric, TraceResult
from unlearning.mediation.states import Restoration, Site
from unlearning.mediation.tracing import Tracing, load_tracing
from unlearning.report.heat_maps import LONGEST_PROMPT, choices, draw_fact, draw_groups, draw_selection, short
from unlearning.report.style import CHOSEN, DIVERGING, KINDS, MUTED, PLACEBO, STYLE
from unlearning.report.trace_figures import draw_effects, draw_severed, write_trace_plots

AGGREGATE = ["trace_effects.png", "trace_severed.png", "trace_groups.png", "trace_selection.png"]
ORDER = (ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Tracing:
    """Return a trace of everything that can be traced at once."""
    return load_tracing(write_trace_run(tmp_path_factory.mktemp("grid") / "run"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tracing:
    """Return a trace with the default settings on 8 layers."""
    return load_tracing(write_trace_run(tmp_path_factory.mktemp("plain") / "run", "plain", 8))


def panels(figure: Any) -> list[Any]:
    """Return the axes with a title; a colour bar has none."""
    return [axis for axis in figure.axes if axis.get_title(loc="left")]


def drawn(draw: Any, *given: object, size: tuple[float, float] = (10.0, 4.0)) -> Any:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained", dpi=200)
        draw(figure, *given)
    return figure


def curves(axis: Any, colour: str) -> list[Any]:
    """Return the lines of a colour over all layers."""
    return [line for line in axis.lines if to_hex(line.get_color()) == colour]


def mesh(axis: Any) -> Any:
    """Return the heat map of a panel."""
    return axis.collections[0]


def mark_places(axis: Any) -> set[tuple[int, int]]:
    """Return row and layer of the dots."""
    return {(round(y - 0.2), round(x)) for x, y in axis.collections[1].get_offsets()}


def test_files_of_a_grid(page_of: Callable[[str], Path]) -> None:
    paths = list((page_of("trace").parent / "plots").iterdir())
    assert {path.name for path in paths} == {*AGGREGATE, "trace_fact_1.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_files_without_windows_severed_paths_and_groups(tmp_path: Path) -> None:
    folder = write_trace_run(tmp_path / "run", "plain", 8)
    paths = write_trace_plots(trace_result(PLAIN, 8), folder)
    assert [path.name for path in paths] == ["trace_effects.png", "trace_selection.png"]


def test_no_layers_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layers\.json: cannot be read"):
        write_trace_plots(trace_result(PLAIN, 8), tmp_path)


def test_effects_have_a_panel_a_kind_with_both_windows_and_placebos(grid: Tracing) -> None:
    figure = drawn(draw_effects, grid)
    axes = panels(figure)
    assert [axis.get_title(loc="left") for axis in axes] == ["layer", "mlp (window 10 decides)", "attention"]
    assert len({axis.get_ylim() for axis in axes}) == 1
    for axis, kind in zip(axes, ORDER, strict=True):
        windows = [1] if kind is ModuleKind.layer else [1, 10]
        found = [grid.effects.of(Restoration(kind, window)) for window in windows]
        lines, placebos = curves(axis, KINDS[kind]), curves(axis, PLACEBO)
        assert [tuple(line.get_ydata()) for line in lines] == [item.effect.mean for item in found]
        assert [tuple(line.get_ydata()) for line in placebos] == [item.placebo.mean for item in found if item.placebo]
        assert [line.get_linestyle() == "-" for line in lines] == [window == 1 for window in windows]
        shaded = [patch for patch in axis.patches if to_hex(patch.get_facecolor()) == CHOSEN]
        assert [patch.get_x() + 0.5 for patch in shaded] == list(grid.selection.layers)


def test_effects_have_interval_and_band(plain: Tracing) -> None:
    axis = panels(drawn(draw_effects, plain))[1]
    effect = plain.effects.of(plain.deciding).effect
    areas = [area for area in axis.collections if to_hex(area.get_facecolor()[0]) == KINDS["mlp"]]
    spans = [(area.get_paths()[0].vertices[:, 1].min(), area.get_paths()[0].vertices[:, 1].max()) for area in areas]
    assert spans == [(min(effect.low), max(effect.high)), (min(effect.band_low), max(effect.band_high))]
    opacities = [area.get_alpha() for area in areas]
    assert opacities[0] > opacities[1]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_legend_names_only_what_is_drawn(grid: Tracing, plain: Tracing) -> None:
    always = {"chosen", "single modules", "95% interval", "95% band, all layers at once"}
    placebo = "placebo: another person's states"
    assert set(legend(drawn(draw_effects, grid))) == always | {"window 10", placebo}
    without = replace(plain.effects, restorations=tuple(replace(e, placebo=None) for e in plain.effects.restorations))
    bare = replace(plain, selection=replace(plain.selection, effects=(without,)))
    assert set(legend(drawn(draw_effects, bare))) == always


def test_severed_paths_and_their_gaps(grid: Tracing) -> None:
    figure = drawn(draw_severed, grid)
    left, right = panels(figure)
    whole = grid.effects.of(Restoration(ModuleKind.layer)).effect.mean
    assert tuple(curves(left, KINDS["layer"])[0].get_ydata()) == whole
    for kind in ("mlp", "attention"):
        cut = curves(left, KINDS[kind])[0].get_ydata()
        gap = curves(right, KINDS[kind])[0].get_ydata()
        np.testing.assert_allclose(np.array(whole) - cut, gap, atol=1e-12)
    names = {"all paths", "mlp severed", "attention severed", "through mlp", "through attention"}
    assert names <= set(legend(figure))


def test_groups_are_the_numbers_given_and_marked_where_the_interval_excludes_0(grid: Tracing) -> None:
    axes = panels(drawn(draw_groups, grid, size=(10.0, 6.0)))
    assert [axis.get_title(loc="left") for axis in axes] == ["layer", "mlp, window 10", "attention, window 10"]
    labels = [text.get_text() for text in axes[0].get_yticklabels()]
    assert labels[:3] == ["first subject", "middle subject", "last subject"]
    assert labels[3:] == ["first after", "further", "last"]
    groups = ["first_subject", "middle_subject", "last_subject", "first_after", "further", "last"]
    lowest, largest = 0.0, 0.0
    for axis, restoration in zip(axes, _widest(), strict=True):
        found = [grid.effects.of(restoration).by_group[group] for group in groups]
        np.testing.assert_array_equal(mesh(axis).get_array(), [curve.mean for curve in found])
        excluded = {
            (row, layer)
            for row, curve in enumerate(found)
            for layer in range(16)
            if curve.low[layer] > 0 or curve.high[layer] < 0
        }
        assert 0 < len(excluded) < 6 * 16
        assert mark_places(axis) == excluded
        lowest, largest = (
            min(lowest, *map(min, (c.mean for c in found))),
            max(largest, *map(max, (c.mean for c in found))),
        )
    assert lowest < 0
    scales = {mesh(axis).get_clim() for axis in axes}
    assert scales == {(-largest, largest)}
    assert {mesh(axis).get_cmap().name for axis in axes} == {DIVERGING}


def _widest() -> list[Restoration]:
    mlp, attention = (Restoration(kind, 10) for kind in (ModuleKind.mlp, ModuleKind.attention))
    return [Restoration(ModuleKind.layer), mlp, attention]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("depth", "numbers"), [(32, 6 * 32), (33, 0)])
def test_numbers_fit_their_cells_and_narrow_cells_have_dots_alone(depth: int, numbers: int, tmp_path: Path) -> None:
    tracing = load_tracing(write_trace_run(tmp_path / "run", depth=depth))
    figure = drawn(draw_groups, tracing, size=(10.0, 6.0))
    if numbers:
        figure.draw_without_rendering()
    for axis in panels(figure):
        assert len(axis.texts) == numbers
        assert mark_places(axis)
        cell = axis.get_window_extent().width / depth
        assert max((text.get_window_extent().width for text in axis.texts), default=0) < 0.92 * cell


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.004, ".00"), (0.094, ".09"), (-0.127, "−.13"), (0.996, "1"), (-2.44, "−2.4"), (12.3, "12"), (10.0, "10")],
)
def test_number_in_a_cell(value: float, text: str) -> None:
    assert short(value) == text


def test_choices_and_how_often_each_layer_is_chosen(grid: Tracing, plain: Tracing) -> None:
    bars, table = drawn(draw_selection, grid.selection).axes
    assert [bar.get_height() for bar in bars.patches] == list(grid.selection.inclusion)
    rows = [text.get_text() for text in table.get_yticklabels()]
    assert rows == ["chosen", "window 1", "random", "first", "middle", "last", "gradient", "fisher"]
    cells = mesh(table)
    colours = np.vectorize(to_hex, signature="(n)->()")(cells.cmap(cells.norm(cells.get_array())))
    picked = [
        tuple(np.flatnonzero(row == (KINDS["mlp"] if name == "chosen" else MUTED)))
        for name, row in zip(rows, colours, strict=True)
    ]
    given = grid.selection
    assert picked[:2] == [given.layers, given.layers_window_1]
    assert picked[2:] == [given.baselines[name] for name in rows[2:]]
    assert "window 1" not in choices(plain.selection)


def _naive(result: TraceResult, fact: int, place: int, metric: int) -> list[list[float]]:
    trace = result.traces[fact]
    rows = []
    for site in range(len(trace.sites)):
        row = []
        for layer in range(result.depth):
            draws = [
                float(trace.patched[place, layer, site, draw, metric] - trace.corrupted[draw, metric])
                for draw in range(len(trace.corrupted))
            ]
            row.append(math.fsum(draws) / len(draws))
        rows.append(row)
    return rows


def test_a_fact_by_token() -> None:
    result = trace_result(facts=1)
    figure = drawn(draw_fact, result.traces[0], result, Metric.ANSWER_LOG_PROBABILITY)
    axes = panels(figure)
    assert [axis.get_title(loc="left") for axis in axes] == ["layer", "mlp, window 10", "attention, window 10"]
    labels = [text.get_text() for text in axes[0].get_yticklabels()]
    assert labels == ["' An' *", "'nel' *", "'iese' *", "' Holz' *", "'?'", r"'\n'", "'Answer'", "':'"]
    for axis, restoration in zip(axes, _widest(), strict=True):
        expected = _naive(result, 0, result.restorations.index(restoration), 3)
        np.testing.assert_allclose(mesh(axis).get_array(), expected, rtol=0, atol=1e-12)
    low, high = mesh(axes[0]).get_clim()
    assert low == -high
    assert "What is the birth date of Anneliese Holz? Answer:" in figure.get_suptitle()


def test_a_fact_where_the_clean_run_is_broken() -> None:
    result = replace(trace_result(facts=1), direction=Direction.noising)
    trace = result.traces[0]
    axis = panels(drawn(draw_fact, trace, result, Metric.ANSWER_LOG_PROBABILITY))[0]
    assert mesh(axis).get_array()[0, 0] == pytest.approx(trace.clean[3] - trace.patched[0, 0, 0, :, 3].mean())


def test_a_fact_in_two_rows() -> None:
    result = trace_result(replace(CONFIG, tokens=TracedTokens.two_rows), facts=1)
    axis = panels(drawn(draw_fact, result.traces[0], result, Metric.PROBABILITY))[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["' Holz' *", "':'"]


def test_of_a_long_prompt_the_end_is_shown() -> None:
    """A chat template stands before the question."""
    result = trace_result(facts=1)
    trace = result.traces[0]
    tokens = ("x" * 300, *trace.tokens)
    sites = tuple(Site(site.group, (site.positions[0] + 1,)) for site in trace.sites)
    figure = drawn(draw_fact, replace(trace, tokens=tokens, sites=sites), result, Metric.PROBABILITY)
    title = figure.get_suptitle().split("\n")[0]
    assert len(title) == len("birth date: ") + LONGEST_PROMPT
    assert title.endswith("xWhat is the birth date of Anneliese Holz? Answer:")
