"""Processes that are started for training load no second copy of the weights where they can do without."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import BYTES, tiny_tokenizer
from unlearning.commands.stages.load_pair import load_pair
from unlearning.config.model import ModelConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.models import anatomy, capabilities
from unlearning.models.weights_hash import weights_hash
from unlearning.training.one_copy import HASH, has_no_values, loaded_weights_hash
from unlearning.training.sharding import Shards

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


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    """Let this process be all processes of a group."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_a_layer_that_is_sharded_is_whole_no_more(mesh: DeviceMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the whole model would be in memory until the last layer is sharded."""
    model = tiny_model("llama")
    first = [ref(weight) for weight in anatomy.layers(model)[0].parameters()]
    alive: list[int] = []

    def noting(part: torch.nn.Module, **options: Any) -> None:
        alive.append(sum(weight() is not None for weight in first))
        fully_shard(part, **options)

    monkeypatch.setattr("unlearning.training.sharding.fully_shard", noting)
    Shards(model).spread(mesh, MixedPrecisionPolicy(), torch.device("cpu"))
    assert alive[:2] == [len(first), 0]
