"""What the studies of probed runs share: what probes brought back, and which methods no other one surpasses."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any

from experiments.study import Line, mean
from unlearning.report.style import METHODS, Picture, picture

SAMPLES = 64
"""k of leak@k."""
LEAK = f"leak@{SAMPLES}"


def probed(run: Path, role: str, names: Iterable[str]) -> Line:
    """Return the values of these probes in a finished run, and leak@64, of a model: target, unlearned or retrained."""
    probes = {probe["name"]: probe for probe in json.loads((run / "probes.json").read_text())["probes"]}
    found = {name: f"{probes[name]['values'][role]['value']:.4f}" for name in names}
    curve = probes["leakage"]["curves"][role]
    return found | {"leak": f"{next(point['asked']['value'] for point in curve if point['effort'] == SAMPLES):.2e}"}


def front(methods: Mapping[str, Sequence[Line]]) -> list[str]:
    """Return the methods that no other one surpasses in final score, in worst case and in leakage together."""
    points = {name: _point(runs) for name, runs in methods.items()}
    return [name for name, point in points.items() if not any(_surpasses(other, point) for other in points.values())]


def _point(runs: Sequence[Line]) -> tuple[float, ...]:
    return mean(runs, "final"), -mean(runs, "worst_case"), -mean(runs, "leak")


def _surpasses(other: tuple[float, ...], point: tuple[float, ...]) -> bool:
    return other != point and all(a >= b for a, b in zip(other, point, strict=True))


def front_picture(methods: Mapping[str, Sequence[Line]]) -> Picture:
    """Return the figure of the final score against what comes back."""
    caption = "Rings: means over seeds, filled on the front; dots: runs. Worst case: what any probe brings back."
    return picture("front", "Forgetting that lasts", caption, (7.0, 4.2), lambda figure: _draw(figure, methods))


def _draw(figure: Any, methods: Mapping[str, Sequence[Line]]) -> None:
    """Draw each method's mean as a large mark, filled where it is on the front, and its runs as dots."""
    axis = figure.subplots()
    best = front(methods)
    for (shape, colour), (name, runs) in zip(cycle(product("os", METHODS)), methods.items(), strict=False):
        points = [(float(run["worst_case"]), float(run["final"])) for run in runs]
        axis.plot(*zip(*points, strict=True), ".", color=colour, markersize=5)
        at = mean(runs, "worst_case"), mean(runs, "final")
        axis.plot(*at, shape, color=colour, fillstyle="full" if name in best else "none", markersize=11, label=name)
    axis.set(xlabel="worst case over all probes", ylabel="final score")
    axis.margins(0.1)
    figure.legend(loc="outside right upper")
