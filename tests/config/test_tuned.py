"""Tuned numbers join where they were found, say so, and leave when they are told to."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from tests.command_line import run_command
from unlearning.config.commands import UnlearnConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.config.tuned import TunedConfig, announcement

CROSS = ("method=npo", "schedule=chunked", "scope=lora")
"""A method without numbers of its own, with a schedule and a scope that have some on the sandbox."""
CROSS_FILES = {"sandbox_chunked": {"schedule.chunk_rows": 120}, "sandbox_lora": {"scope.layers": "2:6"}}


@cache
def composed(*words: str) -> DictConfig:
    """Return what Hydra makes of a command line of `unlearn`."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("unlearn", list(words))


def settings(*words: str) -> UnlearnConfig:
    """Return the checked settings of a command line of `unlearn`."""
    made: UnlearnConfig = settings_of(composed(*words))
    return made


def numbers(made: UnlearnConfig) -> tuple[Any, ...]:
    """Return the numbers that tuned files could change in CROSS."""
    return made.schedule.chunk_rows, made.scope.layers  # type: ignore[attr-defined]


def test_they_join_on_the_sandbox() -> None:
    """The numbers are in force, and the settings name the files that they come from."""
    made = settings(*CROSS)
    assert numbers(made) == (120, "2:6")
    assert made.tuned.files == CROSS_FILES
    assert made.tuned.left_out is None


def test_a_models_files_are_its_own() -> None:
    """Another model has no tuned numbers, and nothing is said about them."""
    made = settings(*CROSS, "model=olmo_7b")
    assert numbers(made) == numbers(settings(*CROSS, "tuned=none"))
    assert made.tuned == TunedConfig()
    assert announcement(made.tuned, "olmo_7b") is None


# ---------------------------------------------------------------- what the run says


def test_the_announcement_names_files_and_numbers() -> None:
    """One line has every file that joined, the numbers it set, and how to turn it off."""
    assert announcement(settings(*CROSS).tuned, "sandbox") == (
        "tuned for sandbox: sandbox_chunked sets schedule.chunk_rows=120; sandbox_lora sets scope.layers=2:6 "
        "(tuned=none turns this off)"
    )


def test_the_announcement_says_why_nothing_joined() -> None:
    """One line has the keys in which the model differs."""
    made = settings(*CROSS, "model.layers=16", "model.width=64")
    assert announcement(made.tuned, "sandbox") == (
        "tuned for sandbox, not used: found with model.layers=8 (here 16), model.width=128 (here 64)"
    )


def test_nothing_is_said_where_there_are_no_numbers() -> None:
    """A method without tuned numbers is silent, whatever the model's shape."""
    for words in (("method=npo",), ("method=npo", "model.layers=16"), (*CROSS, "tuned=none")):
        assert announcement(settings(*words).tuned, "sandbox") is None


# ---------------------------------------------------------------- when they do not join


def test_none_turns_them_off() -> None:
    """The published numbers stand, in parts and in presets."""
    assert numbers(settings(*CROSS, "tuned=none")) == (32, "all")
    assert settings("method=layer_freeze").optimizer.lr == 1e-3
    published = settings("method=layer_freeze", "tuned=none")
    assert (published.optimizer.lr, published.schedule.epochs) == (1.5e-5, 8)
    assert published.tuned.files == {}


@pytest.mark.by_default("model.layers=16", "model.path=./anywhere")
@pytest.mark.parametrize(
    "shape",
    [
        "model.layers=16",
        "model.width=64",
        "model.heads=2",
        "model.vocabulary=400",
        "model.architecture=llama",
        "model.path=./anywhere",
    ],
)
def test_they_do_not_join_on_another_shape(shape: str) -> None:
    """A key of the model that differs from conf/tuned/auto/sandbox.yaml leaves the published numbers in force."""
    made = settings(*CROSS, shape)
    assert numbers(made) == numbers(settings(*CROSS, "tuned=none"))
    assert made.tuned.files == {}
    assert made.tuned.left_out is not None
    assert shape.partition("=")[0] in made.tuned.left_out


def test_what_is_no_shape_does_not_matter() -> None:
    """How the model is run is not what the numbers depend on."""
    assert settings(*CROSS, "model.attention=eager", "model.retrained=./anywhere").tuned.files == CROSS_FILES


def test_auto_on_the_command_line_lets_them_join_all_the_same() -> None:
    """Who names them wants them."""
    assert numbers(settings(*CROSS, "model.layers=16", "tuned=auto")) == (120, "2:6")


def test_an_experiment_that_changes_the_shape_counts_too(tmp_path: Path) -> None:
    """The composed configuration decides, not the words of the command line."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "deep.yaml").write_text("# @package _global_\nmodel:\n  layers: 16\n")
    made = settings(*CROSS, "experiment=deep", f"hydra.searchpath=[file://{tmp_path}]")
    assert numbers(made) == (32, "all")
    assert made.tuned.left_out == "found with model.layers=8 (here 16)"


def test_each_job_of_a_multirun_decides_by_itself() -> None:
    """A sweep over depths gets the tuned numbers at the depth that they were found with."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = [*CROSS, "model.layers=8,16"]
        master = loader.load_configuration("unlearn", words, RunMode.MULTIRUN)
        jobs = [loader.load_sweep_config(master, [*CROSS, f"model.layers={layers}"]) for layers in (8, 16)]
    assert list(master.hydra.overrides.task) == words
    assert [list(job.tuned.files) for job in jobs] == [list(CROSS_FILES), []]
    assert [job.scope.layers for job in jobs] == ["2:6", "all"]


# ---------------------------------------------------------------- what beats them


def test_the_command_line_beats_them() -> None:
    """A number given there is in force, and no file is said to have set it."""
    made = settings(*CROSS, "scope.layers=1:3")
    assert numbers(made) == (120, "1:3")
    assert made.tuned.files == {"sandbox_chunked": {"schedule.chunk_rows": 120}}


def test_what_an_experiment_sets_is_not_said_to_be_tuned(tmp_path: Path) -> None:
    """A user's own experiment stands last, so its numbers are in force and are not named."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\noptimizer:\n  lr: 0.5\n")
    made = settings("method=grad_diff", "experiment=mine", f"hydra.searchpath=[file://{tmp_path}]")
    assert made.optimizer.lr == 0.5
    assert made.tuned.files == {}


# ---------------------------------------------------------------- the prompt, which is no tuned number


METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))


# By default a method without special tokens, one that asks in chat, and one without a format of its own.
@pytest.mark.by_default("chunked_lora-words0", "layer_freeze_released-words1", "npo-words2")
@pytest.mark.parametrize("words", [(), ("tuned=none",), ("model.layers=16",)])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_asks_the_sandbox_as_it_memorised(method: str, words: tuple[str, ...]) -> None:
    """The text format belongs to the model and not to the method, with or without tuned numbers."""
    prompt = settings(f"method={method}", *words).prompt
    assert (prompt.style, prompt.separator, prompt.append_eos) == ("raw", " ", True)


def test_elsewhere_a_method_has_its_own_text_format() -> None:
    """A model that says nothing of its prompt leaves the published format in force; the command line beats both."""
    assert settings("method=chunked_lora", "model=olmo_7b").prompt.append_eos is False
    assert settings("method=layer_freeze_released", "model=olmo_7b").prompt.style == "chat"
    assert settings("method=chunked_lora", "prompt.append_eos=false").prompt.append_eos is False


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize(
    ("word", "shown"),
    [("seed=0", "schedule.chunk_rows: 120"), ("model.layers=16", "left_out: found with model.layers=8 (here 16)")],
    ids=["joined", "left out"],
)
def test_the_configuration_that_is_printed_is_the_one_that_runs(word: str, shown: str, tmp_path: Path) -> None:
    """--cfg job shows the files that joined, or why none did, and the numbers in force."""
    ended = run_command("unlearn", [*CROSS, word, "--cfg", "job"], tmp_path)
    assert ended.code == 0, ended.err
    assert shown in ended.out
    assert ("layers: '2:6'" in ended.out) == (word == "seed=0")
