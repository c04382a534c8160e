"""The probes of conf/ and the ranges of their settings."""

import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from unlearning.config.build import build
from unlearning.config.checks import check_ranges
from unlearning.config.location import conf_dir
from unlearning.config.probe import PrimedConfig, QuestionsConfig, RelearningConfig
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.errors import InputError

FILES = sorted((conf_dir() / "probe").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
ALL = f"probe=[{','.join(NAMES)}]"
BY_NAME = ("judged", "leakage_sampled", "relearning_adapter", "relearning_half", "relearning_short")
"""Those that are asked by name only: a judge of one's own, many samples, and relearning as on large models."""


@cache
def composed(command: str, *words: str) -> DictConfig:
    """Return what Hydra makes of a command line."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(words))


def settings(command: str, *words: str) -> Any:
    """Return the checked settings of a command line."""
    return settings_of(composed(command, *words))


def test_unlearn_asks_none_and_unlearn_probe_asks_most() -> None:
    """These are the defaults of the two commands."""
    assert settings("unlearn").probes == {}
    assert sorted(settings("probe", "run=anywhere").probes) == [name for name in NAMES if name not in BY_NAME]
    assert list(settings("unlearn", f"probe=[{NAMES[0]}]").probes) == NAMES[:1]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_probe_is_built_from_exactly_its_keys(path: Path) -> None:
    """A probe has the name of its file, and the heading of the file names a source."""
    part = settings("unlearn", ALL).probes[path.stem]
    constructor = get_class(part._target_)
    assert set(vars(part)) - {"_target_"} == set(inspect.signature(constructor).parameters)
    assert isinstance(build(part), constructor)
    heading = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert heading[0] == f"# @package probes.{path.stem}"
    source = re.search(r"arXiv \d{4}\.\d{5}", " ".join(heading))
    assert source or path.stem in ("adapter", "judged", "linear_truth")


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_probe_says_what_it_is(path: Path) -> None:
    """Each title is short, and no two titles are the same."""
    titles = {name: build(part).title for name, part in settings("probe", "run=anywhere", ALL).probes.items()}
    assert 10 < len(titles[path.stem]) < 80
    assert list(titles.values()).count(titles[path.stem]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["probes.relearning.fraction=1"], "fraction=1.0: must be in (0, 1)"),
        (["probes.relearning.steps=[]"], "steps=[]: must be numbers of steps, ascending"),
        (["probes.relearning.steps=[0,1]"], "steps=[0, 1]: must be"),
        (["probes.relearning.steps=[2,2]"], "steps=[2, 2]: must be"),
        (["probes.relearning.lr=0"], "lr=0.0: must be above 0"),
        (["probes.relearning.epochs=0"], "epochs=0: must be 1 or more, or null"),
        (["probes.relearning.batch_rows=0"], "batch_rows=0: must be 1 or more"),
        (["probes.relearning.lora_rank=0"], "lora_rank=0: must be 1 or more, or null"),
        (["probes.int4.group=0"], "group=0: must be 1 or more, or null"),
        (["probes.int4.bits=1"], "bits=1: must be in [2, 8]"),
        (["probes.primed.words=-1"], "words=-1: must be 0 or more"),
        (["probes.primed.words=0"], "prefix='': must be given, or words"),
        (["probes.recognition.options=1"], "options=1: must be 2 or more"),
        (["probes.leakage.counts=[]"], "counts=[]: must be numbers of samples, ascending, 1 or more"),
        (["probes.leakage.spellings=0"], "spellings=0: must be 1 or more"),
        (["probes.leakage_sampled.samples=100"], "samples=100: must be 128 or more"),
        (["probes.leakage_sampled.top_p=0"], "top_p=0.0: must be in (0, 1]"),
        (["probes.leakage_sampled.temperature=0"], "temperature=0.0: must be above 0"),
        (["probes.depth.threshold=-1"], "threshold=-1.0: must be 0 or more"),
        (["probes.judged.function=null"], "function=null: must be given, or command"),
        (["probes.judged.command=[echo]"], "function=unlearning.probes.judge.contains: must be given, or command"),
        (["probes.judged.timeout_seconds=0"], "timeout_seconds=0.0: must be above 0"),
        (["probes.linear.folds=2"], "folds=2: must be 3 or more"),
        (["probes.linear.penalty=0"], "penalty=0.0: must be above 0"),
        (["probes.linear.layer=-1"], "layer=-1: must be 0 or more, or null"),
        (["probes.paraphrased.templates=[]"], "templates=[]: must be texts with one {question}"),
    ],
)
def test_what_is_out_of_range(words: list[str], message: str) -> None:
    """The error names the key as one types it, the value and what is allowed."""
    probe = words[0].rpartition(".")[0]
    with pytest.raises(InputError, match=f"^{re.escape(f'{probe}.{message}')}"):
        settings_of(OmegaConf.merge(composed("probe", "run=anywhere", ALL), OmegaConf.from_dotlist(words)))


@pytest.mark.parametrize(
    "template", ["", "{question} {question}", "{answer}: {question}", "{question} {answer}{answer}"]
)
def test_templates_that_cannot_be_filled_in(template: str) -> None:
    """A template must have the question once, and the answer only after it."""
    with pytest.raises(InputError, match="texts with one"):
        check_ranges(QuestionsConfig(templates=["{question}", template]), "probes.asked")


def test_one_probe_several_times() -> None:
    """From Python one probe can be given several names with different settings."""
    many = {f"after {steps}": RelearningConfig(steps=[steps]) for steps in (1, 5)} | {"begun": PrimedConfig(words=2)}
    assert [build(part).title for part in many.values()][:2] == [
        "up to 1 step on 10% of the forget documents; the others are asked",
        "up to 5 steps on 10% of the forget documents; the others are asked",
    ]
