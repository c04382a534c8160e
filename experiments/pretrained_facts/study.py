"""Table and figure of experiments/pretrained_facts: where facts are in pretrained models (see experiments/study.py).

`run.py` in this folder makes the traces; `python -m experiments.pretrained_facts.study FOLDER` reads them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from experiments.study import Line, Study, group_by, markdown
from unlearning.report.style import METHODS, MUTED, Picture, picture

MODELS = {"smollm2_135m": "SmolLM2-135M", "gemma3_270m": "Gemma 3 270M"}
HIDDEN = ("noise", "replacement")
"""Corruptions that hide the subject's name; both can be done to any fact."""
EARLY = 1 / 3
"""The first third of the layers is called early."""
METRIC = "answer_log_probability"
COLUMNS = 2
"""Panels in a row of the figure."""
LEAST_SHARE = 0.01
"""Share of the total effect below which the largest effect is none."""
CORRUPTIONS = {
    "base_model": "base model's states",
    "weights": "one part's weights from before",
    "weights_into_base": "all weights from before but one part's",
}
"""How a memorised fact was traced by the model before memorising."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each trace in the folder, each kind of module and window, and each layer."""
    return [line for path in sorted(folder.glob("*-*-*/layers.json")) for line in _lines(path)]


def _lines(path: Path) -> list[Line]:
    """Return the lines of one trace."""
    model, knowledge, corruption = path.parent.name.split("-")
    content = json.loads(path.read_text())
    metric = next(item for item in content["effects"] if item["metric"] == METRIC)
    by_confidence = content["rule"] == "confidence"
    common = {
        "model": model,
        "knowledge": knowledge,
        "corruption": corruption,
        "facts": str(content["counts"]["traced"]),
        "subjects": str(content["counts"]["persons"]),
        "unknown": str(content["counts"]["unknown"]),
        "total_nats": f"{metric['total']['mean']:.4f}",
    }
    lines: list[Line] = []
    for item in metric["restorations"]:
        place, effect, placebo = item["restoration"], item["effect"], item["placebo"]
        for layer, nats in enumerate(effect["mean"]):
            own = {"kind": place["kind"], "window": str(place["window"]), "layer": str(layer), "nats": f"{nats:.4f}"}
            own |= {"low": f"{effect['band_low'][layer]:.4f}", "high": f"{effect['band_high'][layer]:.4f}"}
            own["placebo"] = "" if placebo is None else f"{placebo['mean'][layer]:.4f}"
            own["chosen"] = str(layer in content["layers"]) if by_confidence else ""
            lines.append({**common, **own})
    return lines


def curve(lines: Sequence[Line], kind: str, window: str = "1", key: str = "nats") -> list[float]:
    """Return one number for each layer, of a kind of module and a window; nothing where it was not traced."""
    return [float(line[key]) for line in lines if (line["kind"], line["window"]) == (kind, window) and line[key]]


def peak(effects: Sequence[float]) -> int:
    """Return the layer of the largest effect."""
    return list(effects).index(max(effects))


def early_share(effects: Sequence[float]) -> float:
    """Return how much of the positive effects of all layers is in the first third of them."""
    positive = [max(0.0, effect) for effect in effects]
    return sum(positive[: round(EARLY * len(positive))]) / sum(positive)


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each trace."""
    headings = ["model", "knowledge", "corrupted by", "facts", "total effect, nats"]
    headings += ["MLP: peak", "early share", "window 10: peak", "attention: peak", "early share", "chosen"]
    rows = []
    for (model, knowledge, corruption), own in group_by(lines, "model", "knowledge", "corruption").items():
        mlp, attention = curve(own, "mlp"), curve(own, "attention")
        least = LEAST_SHARE * float(own[0]["total_nats"])
        cells = [MODELS[model], knowledge, CORRUPTIONS.get(corruption, corruption), own[0]["facts"]]
        cells += [own[0]["total_nats"], _peak(mlp, least), _early(mlp, least), _peak(curve(own, "mlp", "10"), least)]
        rows.append([*cells, _peak(attention, least), _early(attention, least), _chosen(own)])
    return markdown(headings, rows)


def _peak(effects: Sequence[float], least: float) -> str:
    """Return a cell such as "3 of 30 (0.41)": the layer of the largest effect, and this effect in nats."""
    if not effects:
        return "not traced"
    return f"{peak(effects)} of {len(effects)} ({max(effects):.2f})" if max(effects) >= least else "none"


def _early(effects: Sequence[float], least: float) -> str:
    """Return the early share of the effects, unless there are none."""
    return f"{early_share(effects):.0%}" if max(effects) >= least else ""


def _chosen(lines: Sequence[Line]) -> str:
    """Return the layers that the rule of confidence chose, or that it was not the rule."""
    layers = dict.fromkeys(line["layer"] for line in lines if line["chosen"] == "True")
    return ", ".join(layers) or ("none" if lines[0]["chosen"] else "by rank")


def answer(lines: Sequence[Line]) -> str:
    """Give the layers where the effect of MLPs is largest, by model and knowledge."""
    parts = []
    for (model, knowledge), own in group_by(lines, "model", "knowledge").items():
        curves = [curve(traced, "mlp") for (how,), traced in group_by(own, "corruption").items() if how in HIDDEN]
        peaks = sorted({peak(effects) for effects in curves})
        parts.append(f"{MODELS[model]}, {knowledge}: layer {', '.join(map(str, peaks))} of {len(curves[0])}")
    return "the MLP of the largest effect; " + "; ".join(parts) + "."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the effects by layer, a panel for each trace that has some."""
    panels = {
        key: own
        for key, own in group_by(lines, "model", "knowledge", "corruption").items()
        if key[2] in (*HIDDEN, "weights_into_base")
    }
    caption = "Indirect effect at the subject's last token. Bands hold for all layers at once (95%); dots: placebo."
    size = (4.6 * min(COLUMNS, len(panels)), 0.5 + 2.9 * -(-len(panels) // COLUMNS))
    return [picture("effects", "Effects by layer", caption, size, lambda figure: draw(figure, panels))]


def draw(figure: Any, panels: Mapping[tuple[str, ...], Sequence[Line]]) -> None:
    """Draw a panel for each trace."""
    axes = figure.subplots(-(-len(panels) // COLUMNS), min(COLUMNS, len(panels)), squeeze=False).flat
    for ((model, knowledge, corruption), lines), axis in zip(panels.items(), axes, strict=False):
        how = corruption if corruption in HIDDEN else "weights put in"
        axis.set(title=f"{MODELS[model]}, {knowledge}, {how}", xlabel="layer", ylabel="nats")
        axis.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axis.axhline(0, color=MUTED, linewidth=0.6)
        for index, kind in enumerate(("mlp", "attention")):
            _draw_curve(axis, lines, kind, METHODS[index])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    for axis in axes:
        axis.remove()


def _draw_curve(axis: Any, lines: Sequence[Line], kind: str, colour: str) -> None:
    """Draw effects with their band, and the placebo as dots."""
    effects, low, high, placebo = (curve(lines, kind, key=key) for key in ("nats", "low", "high", "placebo"))
    axis.plot(effects, color=colour, label=kind.replace("mlp", "MLP"))
    axis.fill_between(range(len(effects)), low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(placebo, ".", color=colour, markersize=3)


KEYS = (
    *("model", "knowledge", "corruption", "facts", "subjects", "unknown", "total_nats"),
    *("kind", "window", "layer", "nats", "low", "high", "placebo", "chosen"),
)
STUDY = Study(
    folder=Path(__file__).parent,
    question="Where are facts in pretrained models?",
    answer=answer,
    columns={key: key for key in KEYS},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
