"""A run that was stopped goes on to the very same weights."""

import copy
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.tiny_models import tiny_model
from tests.training.test_golden import FORGET, RETAIN
from unlearning.config import OptimizerConfig, TrainerConfig
from unlearning.data.schedules import ChunkedSchedule, MixedSchedule, PlanStep
from unlearning.errors import InputError
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.training import callbacks
from unlearning.training.fit import Interrupted, TrainingTask, fit

TRAINER = TrainerConfig(accelerator="cpu", pack_tokens=32, checkpoint_every_seconds=0.0)
PLANS = {
    "mixed": MixedSchedule(3, 8).plan(len(FORGET), len(RETAIN), None, 0),
    "chunked": ChunkedSchedule(2, 6, 4).plan(len(FORGET), len(RETAIN), 2, 0),
}


class KilledError(Exception):
    """Stands for a kill between two steps."""


def task(model: nn.Module, plan: list[PlanStep], lr: float = 1e-2) -> TrainingTask:
    """Dropout included, so that the random state matters."""
    return TrainingTask(model, AdaptiveGradDiff(), plan, FORGET, RETAIN, 0, OptimizerConfig(lr=lr), 5, "resume")


def dropping_model() -> nn.Module:
    """GPT-2 with dropout."""
    return tiny_model("gpt2", resid_pdrop=0.2, embd_pdrop=0.2, attn_pdrop=0.0)


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, action: object) -> None:
    """Do something right after a step's curve line was written."""
    original = callbacks.CurveWriter.on_train_batch_end

    def hook(self: callbacks.CurveWriter, trainer: object, module: object, *rest: object) -> None:
        original(self, trainer, module, *rest)  # type: ignore[arg-type]
        if module.last_record.step == step:  # type: ignore[attr-defined]
            action()  # type: ignore[operator]

    monkeypatch.setattr(callbacks.CurveWriter, "on_train_batch_end", hook)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("stop_at", [0, 4])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stop_at: int
) -> None:
    """Weights equal to the last bit, and the curve has each step once."""
    plan = PLANS[name]
    start = dropping_model()
    whole = copy.deepcopy(start)
    fit(task(whole, plan), TRAINER, tmp_path / "whole", [])

    def kill() -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        after_step(patch, stop_at, kill)
        with pytest.raises(KilledError):
            fit(task(copy.deepcopy(start), plan), TRAINER, tmp_path / "cut", [])
    resumed = copy.deepcopy(start)
    record = fit(task(resumed, plan), TRAINER, tmp_path / "cut", [])
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert record.steps == len(plan)
    assert (tmp_path / "cut/loss_curve.csv").read_text() == (tmp_path / "whole/loss_curve.csv").read_text()


def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first signal is polite."""
    plan = PLANS["mixed"]
    start = dropping_model()
    whole, cut = copy.deepcopy(start), copy.deepcopy(start)
    fit(task(whole, plan), TRAINER, tmp_path / "whole", [])
    patient = TrainerConfig(accelerator="cpu", pack_tokens=32, checkpoint_every_seconds=1e9)
    with monkeypatch.context() as patch:
        after_step(patch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted):
            fit(task(cut, plan), patient, tmp_path / "cut", [])
    resumed = copy.deepcopy(start)
    fit(task(resumed, plan), patient, tmp_path / "cut", [])
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_runs_checkpoint_is_not_continued(tmp_path: Path) -> None:
    """The identity decides."""
    plan = PLANS["mixed"]
    fit(task(dropping_model(), plan), TRAINER, tmp_path, [])
    fresh, other = dropping_model(), dropping_model()
    fit(task(fresh, plan, lr=1e-3), TRAINER, tmp_path / "elsewhere", [])
    changed = TrainingTask(**{**vars(task(other, plan, lr=1e-3)), "identity": "other"})
    fit(changed, TRAINER, tmp_path, [])
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), other.parameters(), strict=True))


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    """Not a traceback of the file format."""
    (tmp_path / "checkpoint.safetensors").write_bytes(b"garbage")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        fit(task(dropping_model(), PLANS["mixed"]), TRAINER, tmp_path, [])


def test_divergence_is_one_line(tmp_path: Path) -> None:
    """A loss that is not a number names the step."""
    model = dropping_model()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="diverged at step 0"):
        fit(task(model, PLANS["mixed"]), TRAINER, tmp_path, [])
