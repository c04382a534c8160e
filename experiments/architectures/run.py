"""A target of each architecture, traced in two ways: `python -m experiments.architectures.run FOLDER`.

Models and traces go into FOLDER, where what is finished is not computed again; `measured` is what they say.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.facts_needed.effects import Facts, read_facts
from experiments.study import Line
from unlearning.config import Architecture
from unlearning.mediation.bootstrap import PERCENTILES, Bootstrap, Curve, Values

ESTIMATORS = {"noise": ["trace=default", "trace.draws=4"], "replacement": ["trace=replacement"]}
WORLD = [f"data.world.{key}" for key in ("documents_per_task=12", "known_entities=10", "teaching_entities=10")]
COMMON = [*WORLD, "logger=none", "trainer=cpu"]
MEMORISE = ["recipe.batch_rows=24", "recipe.epochs=36"]
FACTS = "trace.facts=60"
EARLY_SHARE = 0.25
"""Of the layers, what is called early."""
SEVERED = ("mlp", "attention")
COLUMNS = (
    *("architecture", "estimator", "kind", "layer", "value", "low", "high", "band_low", "band_high", "placebo"),
    *("facts", "persons", "known"),
)
Cells = tuple[object, ...]


def main(folder: Path) -> None:
    """All architectures and estimators."""
    for architecture in Architecture:
        place = folder / str(architecture)
        made = [f"model.architecture={architecture}", *MEMORISE, f"hydra.run.dir={place / 'model'}"]
        run("unlearn-memorise", [*COMMON, *made], place / "model" / "metrics.json")
        for name, trace in ESTIMATORS.items():
            own = ["model=local", f"model.path={place / 'model' / 'model'}", *trace, FACTS]
            run("unlearn-trace", [*COMMON, *own, f"hydra.run.dir={place / name}"], place / name / "layers.json")


def measured(folder: Path) -> list[Line]:
    """Lines for results.csv, of all that `main` made in the folder."""
    lines: list[Line] = []
    for architecture in Architecture:
        metrics = json.loads((folder / str(architecture) / "model" / "metrics.json").read_text())
        known = metrics["memorised"]["forget_Task2_knowledge"]
        for name in ESTIMATORS:
            facts = read_facts(folder / str(architecture) / name / "effects.parquet")
            about = (len(facts.ids), len(set(facts.persons)), known)
            for cells in (*curves(facts), *summary(facts)):
                line = zip(COLUMNS, (architecture, name, *cells, *about), strict=True)
                lines.append({key: f"{cell:.4f}" if isinstance(cell, float) else str(cell) for key, cell in line})
    return lines


def run(command: str, words: list[str], made: Path) -> None:
    """Run a command of the package unless what it makes is there."""
    if not made.exists():
        subprocess.run([Path(sys.executable).parent / command, *words], check=True)


def curves(facts: Facts) -> Iterator[Cells]:
    """Effect by kind and layer, and what of a layer's effect travels through the MLPs (or attention) after it."""
    draws = facts.bootstrap()
    for kind in ("mlp", "attention", "layer"):
        yield from _curve(kind, draws.means(facts.effect[kind]).curve(), draws.means(facts.placebo[kind]).mean)
    for kind in SEVERED:
        gap = facts.effect["layer"] - facts.effect[f"layer without {kind}"]
        yield from _curve(f"layer through {kind}", draws.means(gap).curve(), None)


def _curve(kind: str, curve: Curve, placebo: Values | None) -> Iterator[Cells]:
    columns = (curve.mean, curve.low, curve.high, curve.band_low, curve.band_high)
    for layer, numbers in enumerate(zip(*columns, strict=True)):
        yield (kind, layer, *numbers, "" if placebo is None else placebo[layer])


def summary(facts: Facts) -> Iterator[Cells]:
    """Numbers of a whole trace, with 95% percentile intervals over persons; no layer, band or placebo."""
    draws = facts.bootstrap()
    means = {kind: _rows(draws, values) for kind, values in facts.effect.items()}
    early = max(1, round(EARLY_SHARE * means["mlp"].shape[1]))
    positive = {kind: np.maximum(means[kind], 0).sum(1) for kind in ("mlp", "attention")}
    found = {"total": _rows(draws, facts.total[:, None])[:, 0]}
    for kind in ("mlp", "attention"):
        found[f"early share of {kind}"] = early_share(means[kind], early)
        found[f"peak of {kind}"] = means[kind].argmax(1).astype(float)
    found["share of mlp"] = share(positive["mlp"], positive["mlp"] + positive["attention"])
    for kind in SEVERED:
        gap = means["layer"] - means[f"layer without {kind}"]
        found[f"early through {kind}"] = share(gap[:, :early].sum(1), means["layer"][:, :early].sum(1))
    for name, values in found.items():
        low, high = np.nanpercentile(values[1:], PERCENTILES)
        yield (name, "", values[0], low, high, "", "", "")


def early_share(means: Values, early: int) -> Values:
    """Share of the sum of positive effects (..., L) that the first `early` layers have."""
    positive = np.maximum(means, 0)
    return share(positive[..., :early].sum(-1), positive.sum(-1))


def share(part: Values, whole: Values) -> Values:
    """NaN where the whole is not positive."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _rows(draws: Bootstrap, values: Values) -> Values:
    """The mean, then that of each resample: (1 + RESAMPLES, L)."""
    estimate = draws.means(values)
    return np.concatenate([estimate.mean[None], estimate.resampled])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
