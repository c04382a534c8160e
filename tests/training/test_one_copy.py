"""Processes that are started for training load no second copy of the weights where they can do without."""

from pathlib import Path

import pytest
import torch

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import BYTES, tiny_tokenizer
from unlearning.commands.stages.load_pair import load_pair
from unlearning.config.model import ModelConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.models import capabilities
from unlearning.models.weights_hash import weights_hash
from unlearning.training.one_copy import HASH, has_no_values, loaded_weights_hash

TOKENIZER = tiny_tokenizer(BYTES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a model; the environment is that of a first process."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv(HASH, "of another model")
    tiny_model("llama", vocab_size=len(TOKENIZER)).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    return tmp_path


def loaded(folder: Path, strategy: str) -> torch.nn.Module:
    """Load the model as a command does."""
    return load_pair(str(folder), ModelConfig(name="local"), TrainerConfig(accelerator="cpu", strategy=strategy))[0]


def test_with_shards_only_the_first_process_has_values(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is told which weights they are: a checkpoint is found by them in all processes."""
    first = loaded(folder, "fsdp")
    assert not has_no_values(first)
    assert loaded_weights_hash(first) == weights_hash(first)
    monkeypatch.setenv("LOCAL_RANK", "1")
    second = loaded(folder, "fsdp")
    assert all(weight.is_meta for weight in second.parameters())
    assert loaded_weights_hash(second) == weights_hash(first)
    assert not has_no_values(loaded(folder, "ddp"))


def test_a_process_that_was_not_started_for_training_loads_the_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that evaluates, or the first one of a second computer."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv(HASH)
    assert not has_no_values(loaded(folder, "fsdp"))


def test_an_architecture_that_must_be_tested_is_loaded_everywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test runs the model."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(capabilities, "TESTED", frozenset())
    assert not has_no_values(loaded(folder, "fsdp"))
