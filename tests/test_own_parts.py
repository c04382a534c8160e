"""A loss, a scope, a schedule, a data set and a metric from outside the package, by their dotted paths."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import Ended, run_command
from tests.commands.sandbox_runs import SHORT
from tests.rotation import left_out
from unlearning.config.data import SandboxDataConfig
from unlearning.data.load import load_corpus
from unlearning.data.rows import Row

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "own_parts.py"
OWN = ["objective=own_parts.BoundedAscent", "scope=own_parts.EveryNthMlp", "schedule=own_parts.RetainFirst"]
FILES = ["data=own_parts.CsvReader", "data.forget=[forget.csv]", "data.retain=[retain.csv]", "data.answer=reply"]
KEYS = ["objective.bound_nats=0.01", "scope.every=3", "schedule.batch_rows=4", "schedule.epochs=2", "ratio=1to1"]
CUT = ("trainer.max_steps=2", "data.max_documents_per_task=1")
METRICS = ["evaluation.own_metrics=[own_parts.forget_answer_words]"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a working folder outside the checkout that holds the example, and let go of its modules afterwards."""
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "faulty.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Loss: ...\n"
        "def final(evaluated, result): return 1.0\nNUMBER = 3\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("own_parts", "faulty"):
        sys.modules.pop(name, None)


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write questions and answers as CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("question", "reply"), *((row.input, row.output) for row in rows)])


def test_the_page_shows_the_class_of_the_example() -> None:
    """The loss on docs/own_parts.md is that of the file, and has all imports that it needs."""
    (block,) = re.findall(r"```python\n(.*?)```", (EXAMPLE.parents[1] / "own_parts.md").read_text(), re.DOTALL)
    imports, _, shown = block.partition("@dataclass")
    assert f"@dataclass{shown}" in EXAMPLE.read_text()
    names: dict[str, Any] = {"__name__": "own_parts"}
    exec(compile(imports + f"@dataclass{shown}", "own_parts.md", "exec"), names)
    assert names["BoundedAscent"]().bound_nats == 5.0


@pytest.mark.usefixtures("without_figures")
def test_all_five_in_one_run(folder: Path) -> None:
    """Their keys are in config.yaml, steps and weights are those that they say, and the metric is in its place."""
    corpus = load_corpus(SandboxDataConfig())
    write_rows(folder / "forget.csv", list(corpus.forget[:4]))
    write_rows(folder / "retain.csv", list(corpus.retain[:4]))
    words = ["method=grad_diff", *OWN, *FILES, *KEYS, *METRICS, *[word for word in SHORT if word not in CUT]]
    ended = run_command("unlearn", [*words, "logger=none", "hydra.run.dir=run"], folder)
    assert ended.code == 0, ended.err
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["objective"]["_target_"] == "own_parts.BoundedAscent"
    assert (config["objective"]["bound_nats"], config["scope"]["every"]) == (0.01, 3)
    assert (config["schedule"]["first_epochs"], config["data"]["answer"]) == (1, "reply")
    curve = list(csv.DictReader((folder / "run" / "loss_curve.csv").open()))
    # A step of the four retain rows alone, then two forget rows with two retain rows a step, in every epoch.
    assert len(curve) == 1 + 2 * 2
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    answers = [json.loads(line) for line in (folder / "run" / "generations.jsonl").read_text().splitlines()]
    words_of = [len(answer["generated"].split()) for answer in answers if answer["split"] == "forget"]
    assert len(words_of) == 4
    assert metrics["unlearned"]["forget_answer_words"] == sum(words_of) / 4
    # Of the eight layers, the MLPs of 0, 3 and 6 may move: three matrices of 128 by 4 x 128 each.
    shares = metrics["training"]
    assert shares["trainable_parameters"] % 3 == 0
    assert 0 < shares["trainable_parameters"] < shares["parameters"] / 2


REFUSED = [
    (["objective=faulty.Loss"], "objective._target_=faulty.Loss: lacks forget_terms(), retain_terms(), weights()"),
    (["objective=own_parts.BoundedAscent", "objective.bound=1"], "objective.bound: no such key; allowed here: "),
    (["evaluation.own_metrics=[faulty.final]"], "there is a metric final already"),
    (["objective=nowhere.Loss"], "objective._target_=nowhere.Loss: cannot be imported (No module named 'nowhere')"),
    (["objective._target_=own_parts.Missing"], "objective._target_=own_parts.Missing: cannot be imported"),
    (["schedule=faulty.NUMBER"], "schedule._target_=faulty.NUMBER: must be a dataclass"),
    (["objective=own_parts.BoundedAscent", "objective.bound_nats=-1"], "objective.bound_nats=-1.0: must be above 0"),
    (["evaluation.own_metrics=[faulty.NUMBER]"], "evaluation.own_metrics=faulty.NUMBER: must be a function"),
]
"""What is no part, and words of the message; the first three are refused at three different places of the code."""


@pytest.mark.parametrize(
    ("words", "message"), [pytest.param(*case, marks=left_out(place > 2)) for place, case in enumerate(REFUSED)]
)
def test_what_is_no_part_is_refused(words: list[str], message: str, folder: Path) -> None:
    """A class or function that cannot be used ends the command with one line, and no folder is left."""
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    ended = run_command("unlearn", [*words, "method=grad_diff", "logger=none", "trainer=cpu"], folder)
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert message in line
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before


def shown(words: list[str], folder: Path) -> Ended:
    """Return what `--cfg job` prints."""
    return run_command("unlearn", [*words, "--cfg", "job"], folder)


def test_both_ways_to_name_a_class_are_the_same(folder: Path) -> None:
    """`objective=CLASS` and `objective._target_=CLASS` compose the same; a preset's keys for all objectives hold."""
    short = shown(["method=alternating_lora", "objective=own_parts.BoundedAscent"], folder)
    long = shown(["method=alternating_lora", "objective._target_=own_parts.BoundedAscent"], folder)
    assert short.out == long.out
    objective = yaml.safe_load(short.out)["objective"]
    assert objective["_target_"] == "own_parts.BoundedAscent"
    assert (objective["reduction"], objective["bound_nats"]) == ("token", 5.0)
