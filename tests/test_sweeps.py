"""What a job returns to a sweeper that searches, and whether the W&B sweep composes."""

import json
import shlex
from itertools import product
from pathlib import Path

import pytest
import yaml

from tests.test_readme import composes
from unlearning.config.location import conf_dir
from unlearning.runs.sweep import searched_values

SWEEP = yaml.safe_load((Path(__file__).parent.parent / "experiments" / "sweeps" / "wandb.yaml").read_text())


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["final"], 0.5),
        (["forget_knowledge", "utility"], (0.25, 0.75)),
        (["mia_score"], None),
        (["final", "mia_score"], None),
        (["no_such"], None),
    ],
)
def test_a_job_returns_its_metrics(tmp_path: Path, metrics: list[str], expected: object) -> None:
    """It returns one number, several numbers, or None where one is missing."""
    found = {"final": 0.5, "forget_knowledge": 0.25, "utility": 0.75, "mia_score": None}
    (tmp_path / "metrics.json").write_text(json.dumps({"unlearned": found}))
    assert searched_values(tmp_path, metrics) == expected


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]"])
def test_a_job_without_result_returns_none(tmp_path: Path, content: str | None) -> None:
    """metrics.json is missing or incomplete."""
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert searched_values(tmp_path, ["final"]) is None


@pytest.mark.parametrize("mixed", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_every_corner_of_the_wandb_sweep_composes(mixed: bool) -> None:
    """Its command is `unlearn`; all first values, all last ones, and each mixture are valid configurations."""
    program, *fixed = [word for word in SWEEP["command"] if not word.startswith("${")]
    assert program == SWEEP["program"] == "unlearn"
    ends = []
    for key, how in SWEEP["parameters"].items():
        values = how.get("values") or [how["min"], how["max"]]
        ends.append([f"{key}={value}" for value in (values[0], values[-1])])
    for corner in product(*ends) if mixed else zip(*ends, strict=True):
        composes(shlex.join([program, *fixed, *corner]))


@pytest.mark.by_default("layer_freeze", "chunked_last_k", "pdu")
@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "search").glob("*.yaml")))
def test_both_ends_of_every_search_compose(name: str) -> None:
    """The least and the greatest number of each range are allowed, and the method is the one in the name."""
    composes(f"unlearn -m search={name}", most_jobs=2)
    text = (conf_dir() / "search" / f"{name}.yaml").read_text()
    assert name == "base" or f"- override /method: {name}\n" in text
