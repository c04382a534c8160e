"""Make a target of each architecture and trace it in two ways: `python -m experiments.architectures.run FOLDER`.

Models and traces go into FOLDER. What is finished there is not computed again. `collected_lines` reads the results.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.facts_needed.effects import Facts, read_facts
from experiments.study import Line
from unlearning.bootstrap import Values, percentile_interval
from unlearning.config.model import Architecture
from unlearning.mediation.person_bootstrap import EffectCurve, PersonBootstrap

ESTIMATORS = {"noise": ["trace=default", "trace.draws=4"], "replacement": ["trace=replacement"]}
WORLD = [f"data.world.{key}" for key in ("documents_per_task=12", "known_entities=10", "teaching_entities=10")]
COMMON = [*WORLD, "logger=none", "trainer=cpu"]
MEMORISE = ["recipe.batch_rows=24", "recipe.epochs=36"]
FACTS = "trace.facts=60"
EARLY_SHARE = 0.25
"""The first layers up to this share of the depth are called early."""
SEVERED = ("mlp", "attention")
"""Kinds of modules whose paths a trace severs."""
COLUMNS = (
    *("architecture", "estimator", "kind", "layer", "value", "low", "high", "band_low", "band_high", "placebo"),
    *("facts", "persons", "known"),
)
Cells = tuple[object, ...]
"""Cells of a line of results.csv, from the column `kind` to the column `placebo`."""


def main(folder: Path) -> None:
    """Make and trace a target of each architecture."""
    for architecture in Architecture:
        own_folder = folder / str(architecture)
        made = [f"model.architecture={architecture}", *MEMORISE, f"hydra.run.dir={own_folder / 'model'}"]
        run("unlearn-memorise", [*COMMON, *made], own_folder / "model" / "metrics.json")
        for name, trace in ESTIMATORS.items():
            own = ["model=local", f"model.path={own_folder / 'model' / 'model'}", *trace, FACTS]
            run(
                "unlearn-trace",
                [*COMMON, *own, f"hydra.run.dir={own_folder / name}"],
                own_folder / name / "layers.json",
            )


def collected_lines(folder: Path) -> list[Line]:
    """Return the lines for results.csv of all models and traces that `main` made in the folder."""
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
    """Run a command of the package unless the file that it makes is already there."""
    if not made.exists():
        subprocess.run([Path(sys.executable).parent / command, *words], check=True)


def curves(facts: Facts) -> Iterator[Cells]:
    """Yield the effect of each kind of module in each layer, and the part of a layer's effect that travels through the
    MLPs (or the attention) after it."""
    draws = facts.bootstrap()
    for kind in ("mlp", "attention", "layer"):
        yield from curve_lines(kind, draws.means(facts.effect[kind]).curve(), draws.means(facts.placebo[kind]).mean)
    for kind in SEVERED:
        gap = facts.effect["layer"] - facts.effect[f"layer without {kind}"]
        yield from curve_lines(f"layer through {kind}", draws.means(gap).curve(), None)


def curve_lines(kind: str, curve: EffectCurve, placebo: Values | None) -> Iterator[Cells]:
    """Yield a line for each layer of a curve, with its interval, its band and the placebo's effect if it has one."""
    columns = (curve.mean, curve.low, curve.high, curve.band_low, curve.band_high)
    for layer, numbers in enumerate(zip(*columns, strict=True)):
        yield (kind, layer, *numbers, "" if placebo is None else placebo[layer])


def summary(facts: Facts) -> Iterator[Cells]:
    """Yield the numbers of a whole trace with their 95% percentile intervals over persons.

    These lines have no layer, no band and no placebo.
    """
    draws = facts.bootstrap()
    means = {kind: means_of_resamples(draws, values) for kind, values in facts.effect.items()}
    early = max(1, round(EARLY_SHARE * means["mlp"].shape[1]))
    positive = {kind: np.maximum(means[kind], 0).sum(1) for kind in ("mlp", "attention")}
    found = {"total": means_of_resamples(draws, facts.total[:, None])[:, 0]}
    for kind in ("mlp", "attention"):
        found[f"early share of {kind}"] = early_share(means[kind], early)
        found[f"peak of {kind}"] = means[kind].argmax(1).astype(float)
    found["share of mlp"] = share(positive["mlp"], positive["mlp"] + positive["attention"])
    for kind in SEVERED:
        gap = means["layer"] - means[f"layer without {kind}"]
        found[f"early through {kind}"] = share(gap[:, :early].sum(1), means["layer"][:, :early].sum(1))
    for name, values in found.items():
        low, high = percentile_interval(values[1:])
        yield (name, "", values[0], low, high, "", "", "")


def early_share(means: Values, early: int) -> Values:
    """Return the share of the sum of positive effects (..., L) that the first `early` layers have."""
    positive = np.maximum(means, 0)
    return share(positive[..., :early].sum(-1), positive.sum(-1))


def share(part: Values, whole: Values) -> Values:
    """Return part / whole, and NaN where the whole is not positive."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def means_of_resamples(draws: PersonBootstrap, values: Values) -> Values:
    """Return the mean in the first row and the mean of each resample in the others: (1 + RESAMPLES, L)."""
    estimate = draws.means(values)
    return np.concatenate([estimate.mean[None], estimate.resampled])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
