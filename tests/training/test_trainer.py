"""Precision, strategies, hardware that is not there, and compiled layers."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import nn

from tests.tiny_models import tiny_model
from tests.training.resumable import CASES
from unlearning.config.checks import check_ranges
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.training.checkpoint_writer import CheckpointWriter
from unlearning.training.compile import compiled_layers
from unlearning.training.fit import fit
from unlearning.training.hardware import require_hardware
from unlearning.training.sharding import ShardedStrategy
from unlearning.training.trainer import make_trainer, merged_dtype, resolve_precision, weights_dtype

CPU = TrainerConfig(accelerator="cpu", devices="1")
FSDP = replace(CPU, strategy="fsdp", prefix_cache_gib=0.0)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all GPUs, wherever the tests run."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)


@pytest.mark.parametrize(
    ("accelerator", "cuda", "precision", "resolved", "weights"),
    [
        ("auto", False, "auto", "32-true", torch.float32),
        ("auto", True, "auto", "bf16-mixed", torch.float32),
        ("cpu", True, "auto", "32-true", torch.float32),
        ("gpu", True, "bf16-true", "bf16-true", torch.bfloat16),
    ],
)
def test_precision(
    accelerator: str,
    cuda: bool,
    precision: str,
    resolved: str,
    weights: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The precision is float32 except on a GPU that is used; weights are in bfloat16 only where all else is."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    config = TrainerConfig(accelerator=accelerator, precision=precision)
    assert resolve_precision(config) == resolved
    assert weights_dtype(config) is weights


@pytest.mark.parametrize(
    ("quantization", "known", "precision", "dtype"),
    [
        (Quantization.nf4, True, "32-true", torch.bfloat16),
        (Quantization.nf4, True, "auto", torch.bfloat16),
        (Quantization.nf4, False, "auto", torch.float32),
        (Quantization.none, True, "auto", torch.float32),
        (Quantization.none, True, "bf16-true", torch.bfloat16),
    ],
)
def test_adapters_on_4_bits_are_merged_in_bfloat16(
    quantization: Quantization, known: bool, precision: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are merged in bfloat16 where the GPU has it; without 4 bits, weights are loaded as in training."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: known)
    model = ModelConfig(name="local", path="owner/name", quantization=quantization)
    assert merged_dtype(TrainerConfig(accelerator="gpu", precision=precision), model) is dtype


def test_pure_bfloat16_loses_small_updates() -> None:
    """TrainerConfig.precision says so; here by AdamW, whose first step is lr = 1e-5 in size whatever the gradient.

    bfloat16 has 8 significant bits. Weights in [2^-8, 2^-7) are 2^-15 = 3.1e-5 apart and 1e-5 is less than half of
    that: they stay. Those in [2^-9, 2^-8) are 1.5e-5 apart: 0.75 * 2^-8 moves, by one such step. After two steps with
    gradient 1 the second moment is 0.001 + 0.001; without gradient 0.999 of it would follow, which is rounded back.
    """
    weight = nn.Parameter(torch.tensor([0.02, 1.25 * 2.0**-8, 0.75 * 2.0**-8], dtype=torch.bfloat16))
    start = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=1e-5, weight_decay=0.0, fused=True)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert (start - weight).tolist() == [0.0, 0.0, 2.0**-16]
    optimizer.step()
    second = optimizer.state[weight]["exp_avg_sq"].clone()
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert torch.equal(optimizer.state[weight]["exp_avg_sq"], second)


@pytest.mark.parametrize(
    ("config", "strategy"),
    [(CPU, SingleDeviceStrategy), (replace(CPU, strategy="ddp"), DDPStrategy), (FSDP, ShardedStrategy)],
    ids=["auto", "ddp", "fsdp"],
)
def test_strategy(config: TrainerConfig, strategy: type, tmp_path: Path) -> None:
    """The strategy is Lightning's own, except for fsdp."""
    assert type(make_trainer(config, tmp_path, [], []).strategy) is strategy


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"strategy": "dp"}, "trainer.strategy=dp: must be one of auto, ddp, fsdp"),
        (
            {"strategy": "deepspeed_stage_3"},
            "trainer.strategy=deepspeed_stage_3: must be one of .*; fsdp shards as ZeRO",
        ),
        ({"strategy": "fsdp", "compile": True}, "trainer.compile=True: must be false with strategy=fsdp"),
        ({"precision": "16-mixed"}, "trainer.precision=16-mixed: must be one of auto, 32-true, bf16-mixed, bf16-true"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], complaint: str) -> None:
    """The error is one line with key, value and what is allowed."""
    with pytest.raises(InputError, match=f"^{complaint}"):
        check_ranges(TrainerConfig(**settings), "trainer")  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (replace(CPU, accelerator="gpu"), "trainer.accelerator=gpu: no GPU was found"),
        (replace(FSDP, accelerator="gpu"), "trainer.accelerator=gpu: no GPU was found"),
        (replace(FSDP, prefix_cache_gib=4.0), "trainer.prefix_cache_gib=4: must be 0 with trainer.strategy=fsdp"),
        (replace(CPU, compile=True), r"trainer.compile=true: needs a C\+\+ compiler"),
    ],
    ids=["GPU", "sharded on GPUs", "sharded prefixes", "compiler"],
)
def test_what_is_not_there(config: TrainerConfig, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing hardware is known before anything slow."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match=f"^{complaint}"):
        require_hardware(config)


def test_other_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """More GPUs than there are, and sharding over a GPU without CUDA, are refused; the rest is not."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    require_hardware(replace(FSDP, accelerator="gpu", devices="2"))
    require_hardware(replace(CPU, devices="4"))
    with pytest.raises(InputError, match=r"^trainer.devices=4: this computer has 2 of them$"):
        require_hardware(replace(CPU, accelerator="gpu", devices="4"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    require_hardware(FSDP)
    with pytest.raises(InputError, match=r"^trainer.strategy=fsdp: shards over CUDA devices or CPU processes"):
        require_hardware(replace(FSDP, accelerator="auto"))


@pytest.mark.exhaustive
def test_compiled_layers_change_nothing(tmp_path: Path) -> None:
    """Compiled and plain runs have the same losses, with a reference table and a prefix that hooks put in place.

    "aot_eager" leaves out only the code generator. By hand, once, with "inductor" on a CPU: losses to 1e-5.
    """
    curves = []
    for name in ("plain", "compiled"):
        task = replace(CASES["prefix"], lr=1e-3).task()
        (tmp_path / name).mkdir()
        if name == "compiled":
            with compiled_layers(task.model, "aot_eager"):  # type: ignore[arg-type]
                assert all("forward" in vars(layer) for layer in anatomy.layers(task.model))  # type: ignore[arg-type]
                fit(task, replace(CPU, pack_tokens=32), tmp_path / name, [])
        else:
            fit(task, replace(CPU, pack_tokens=32), tmp_path / name, [])
        with (tmp_path / name / "loss_curve.csv").open() as handle:
            curves.append([[float(value) for value in line] for line in list(csv.reader(handle))[1:]])
    assert len(curves[0]) == 9
    for ours, theirs in zip(*curves, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert not any("forward" in vars(layer) for layer in anatomy.layers(task.model))  # type: ignore[arg-type]


def test_compiled_layers_are_what_runs() -> None:
    """The backend compiles one graph for all layers of one kind, and nothing of it is left afterwards."""
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    model = tiny_model("llama", num_hidden_layers=12)
    ids = torch.arange(3, 13).unsqueeze(0)

    def logits(length: int) -> torch.Tensor:
        return model(input_ids=ids[:, :length], use_cache=False).logits

    with torch.no_grad():
        before = [logits(10), logits(7)]
        with compiled_layers(model, backend):
            assert torch.equal(logits(10), before[0])
            assert torch.equal(logits(7), before[1])
        seen = len(graphs)
        assert torch.equal(logits(10), before[0])
    assert seen == 1
    assert len(graphs) == seen


def test_after_training_only_the_model_takes_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring comes next, and Lightning's trainer would hold moments and gradients all the time."""
    made: list[pl.Trainer] = []

    def noted(*arguments: Any) -> pl.Trainer:
        made.append(make_trainer(*arguments))
        return made[0]

    monkeypatch.setattr("unlearning.training.fit.make_trainer", noted)
    model, _ = CASES["mixed"].run(tmp_path, replace(CPU, checkpoint_every_seconds=1e-9))
    (trainer,) = made
    (writer,) = (callback for callback in trainer.callbacks if isinstance(callback, CheckpointWriter))
    assert writer.copy_seconds > 0
    assert not writer.saver.place
    assert not trainer.optimizers[0].state
    assert all(weight.grad is None for weight in model.parameters())
