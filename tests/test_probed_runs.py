"""Tests of experiments/probed_runs.py: what is read of a probed run, and which methods are on the front."""

import json
from pathlib import Path
from typing import Any

from experiments.probed_runs import front, probed
from experiments.sandbox_search import study


def write_probes(run: Path) -> None:
    """Write probes of two models: relearning, the worst case, and leak@1 and leak@64."""

    def values(unlearned: float, retrained: float) -> dict[str, Any]:
        return {"unlearned": {"value": unlearned}, "retrained": {"value": retrained}}

    def curve(one: float, many: float) -> list[dict[str, Any]]:
        return [{"effort": 1, "asked": {"value": one}}, {"effort": 64, "asked": {"value": many}}]

    probes = [
        {"name": "relearning", "values": values(0.25, 0.125)},
        {"name": "worst_case", "values": values(0.5, 0.0625)},
        {"name": "leakage", "curves": {"unlearned": curve(1e-4, 6e-3), "retrained": curve(0.0, 2e-9)}},
    ]
    (run / "probes.json").write_text(json.dumps({"probes": probes}))


def test_values_of_a_probed_run(tmp_path: Path) -> None:
    """Each model has its own values, and leak@64 is that of 64 samples."""
    write_probes(tmp_path)
    assert probed(tmp_path, "unlearned", ["relearning"]) == {"relearning": "0.2500", "leak": "6.00e-03"}
    assert probed(tmp_path, "retrained", ["worst_case"]) == {"worst_case": "0.0625", "leak": "2.00e-09"}


def run_of(method: str, final: float, worst: float, leak: float) -> dict[str, str]:
    """Return the line of one run."""
    return {"method": method, "final": str(final), "worst_case": str(worst), "leak": str(leak)}


def test_the_front_has_what_no_other_method_surpasses() -> None:
    """c is below a in all three; b has the lowest worst case; e is equal to a; d is as a in two and leaks less."""
    runs = [run_of("a", 0.9, 0.1, 1e-3), run_of("b", 0.5, 0.0, 1e-3), run_of("c", 0.8, 0.2, 1e-2)]
    runs.append(run_of("e", 0.9, 0.1, 1e-3))
    methods = {run["method"]: [run] for run in runs}
    assert front(methods) == ["a", "b", "e"], "equal methods do not surpass each other"
    assert front({**methods, "d": [run_of("d", 0.9, 0.1, 1e-4)]}) == ["b", "d"]


def test_the_front_compares_means_over_seeds() -> None:
    """With the mean of 0.9 and 0.5 the first method is below the second."""
    first = [run_of("a", 0.9, 0.0, 0.0), run_of("a", 0.5, 0.0, 0.0)]
    assert front({"a": first, "b": [run_of("b", 0.75, 0.0, 0.0)]}) == ["b"]


def test_a_search_has_no_probes_and_its_best_trial_has(tmp_path: Path) -> None:
    """The run of another seed was probed, the trial was not."""
    for name, seed in (("0-npo", 0), ("1-npo", 3)):
        run = tmp_path / "npo" / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text(f"seed: {seed}\n")
        (run / "status.json").write_text('{"state": "ended early"}')
    write_probes(tmp_path / "npo" / "1-npo")
    search, chosen = study.collected_lines(tmp_path)
    assert [search[key] for key in study.RECOVERED] == ["", "", ""]
    assert [chosen[key] for key in study.RECOVERED] == ["0.5000", "0.0625", "6.00e-03"]
