"""A run that was stopped goes on to the very same weights."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.resumable import CASES, TRAINER, Case, same_weights
from unlearning import artefacts
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError, Interrupted
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.pdu import PDU
from unlearning.training import fit as fit_module
from unlearning.training import random_state
from unlearning.training.callbacks import CurveWriter
from unlearning.training.checkpoint import CHECKPOINT, Progress, read_progress
from unlearning.training.checkpoint_writer import CheckpointWriter
from unlearning.training.fit import fit
from unlearning.training.moving_ceiling import MovingCeiling
from unlearning.training.stopping_rules import Check, StopReason

PATIENT = TrainerConfig(accelerator="cpu", pack_tokens=32, checkpoint_every_seconds=1e9)


class KilledError(Exception):
    """Raised in place of a kill between two steps."""


def kill(*_: object) -> None:
    """End the attempt."""
    raise KilledError


def after_step(
    monkeypatch: pytest.MonkeyPatch,
    callback: type[CurveWriter | CheckpointWriter],
    step: int,
    action: Callable[[], None],
) -> None:
    """Do something right after a callback has done its work for a step."""
    original = callback.on_train_batch_end

    def hook(self: object, trainer: object, module: object, *rest: object) -> None:
        original(self, trainer, module, *rest)  # type: ignore[arg-type]
        if module.last_record.step == step:  # type: ignore[attr-defined]
            action()

    monkeypatch.setattr(callback, "on_train_batch_end", hook)


@pytest.mark.by_default("chunked", "LoRA dropout", "observed checks", "moving ceiling")
@pytest.mark.parametrize("name", CASES)
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """After three kills weights are equal to the last bit, the curve has each step once, and checks are the same."""
    case = CASES[name]
    expected, whole = case.run(tmp_path / "whole")
    kills: list[tuple[type[CurveWriter | CheckpointWriter], int]]
    kills = [(CheckpointWriter, 0), (CurveWriter, 2), (CheckpointWriter, 3)]
    for callback, step in kills:
        with monkeypatch.context() as patch:
            after_step(patch, callback, step, kill)
            with pytest.raises(KilledError):
                case.run(tmp_path / "cut")
    resumed, record = case.run(tmp_path / "cut")
    assert same_weights(resumed, expected)
    assert (record.steps, record.rows, record.tokens) == (whole.steps, whole.rows, whole.tokens)
    assert (record.stopped, record.best_step) == (whole.stopped, whole.best_step)
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == files
    for file in set(files) - {CHECKPOINT}:
        assert (tmp_path / "cut" / file).read_text() == (tmp_path / "whole" / file).read_text()


@pytest.mark.by_default(
    "mixed-unlearning.training.random_state-restore",
    "dual variable-PDU-load_state",
    "moving ceiling-MovingCeiling-restore",
)
@pytest.mark.parametrize(
    ("name", "owner", "forgotten"),
    [
        ("mixed", AdaptiveGradDiff, "load_state"),
        ("mixed", random_state, "restore"),
        ("LoRA dropout", random_state, "restore"),
        ("dual variable", PDU, "load_state"),
        ("observed checks", AdaptiveGradDiff, "load_state"),
        ("moving ceiling", MovingCeiling, "restore"),
    ],
)
def test_what_is_not_restored_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, owner: object, forgotten: str
) -> None:
    """The cases depend on the states that must survive: without one of them the weights differ."""
    case = CASES[name]
    expected, _ = case.run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        after_step(patch, CheckpointWriter, 2, kill)
        with pytest.raises(KilledError):
            case.run(tmp_path / "cut")
    monkeypatch.setattr(owner, forgotten, lambda *_: None)
    resumed, _ = case.run(tmp_path / "cut")
    assert not same_weights(resumed, expected)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best weights, which are not the last, are there again without a step, for an evaluation that was killed."""
    case = CASES["best state"]
    expected, record = case.run(tmp_path)
    monkeypatch.setattr(fit_module, "_run", kill)
    again, same = case.run(tmp_path)
    assert same_weights(again, expected)
    assert record == same
    assert record.best_step is not None
    assert record.best_step < record.steps


def test_a_run_killed_before_it_goes_back_to_the_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run killed after its last step, or after patience ended it, makes no further step."""
    for name in ("best state", "patience"):
        case = CASES[name]
        expected, record = case.run(tmp_path / f"{name}-whole")
        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "_finish", kill)
            with pytest.raises(KilledError):
                case.run(tmp_path / name)
        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "_run", kill)
            resumed, same = case.run(tmp_path / name)
        assert same_weights(resumed, expected)
        assert (same.steps, same.stopped, same.best_step) == (record.steps, record.stopped, record.best_step)


def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first signal lets the step finish; afterwards the handler of signals is the former one."""
    handler = signal.getsignal(signal.SIGINT)
    case = CASES["mixed"]
    expected, _ = case.run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        after_step(patch, CurveWriter, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted):
            case.run(tmp_path / "cut", PATIENT)
    progress = read_progress(tmp_path / "cut" / CHECKPOINT, "resume")
    assert progress is not None
    assert progress.next_step == 4
    resumed, _ = case.run(tmp_path / "cut", PATIENT)
    assert same_weights(resumed, expected)
    assert signal.getsignal(signal.SIGINT) is handler


def ask_to_stop() -> None:
    """Send this process the signal of a scheduler."""
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("name", ["mixed", "best state", "patience"])
@pytest.mark.parametrize("when", ["last step", "result saved"])
def test_a_stop_that_training_ends_with_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    """What follows training is not begun, such as the next job of a search; and no step is made again."""
    case = CASES[name]
    expected, record = case.run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        if when == "last step":
            after_step(patch, CurveWriter, record.steps - 1, ask_to_stop)
        else:
            finish = fit_module._finish
            patch.setattr(fit_module, "_finish", lambda *given: (finish(*given), ask_to_stop())[0])
        with pytest.raises(Interrupted):
            case.run(tmp_path / "cut", PATIENT)
    monkeypatch.setattr(fit_module, "_run", kill)
    resumed, same = case.run(tmp_path / "cut", PATIENT)
    assert same_weights(resumed, expected)
    assert (same.steps, same.stopped, same.best_step) == (record.steps, record.stopped, record.best_step)


def test_another_runs_checkpoint_is_not_continued(tmp_path: Path) -> None:
    """A run with another identity starts afresh."""
    case = CASES["mixed"]
    case.run(tmp_path)
    slower = Case(lr=1e-3)
    fresh, _ = slower.run(tmp_path / "elsewhere")
    task = slower.task(identity="other")
    fit(task, TRAINER, tmp_path, [])
    assert same_weights(task.model, fresh)


def test_progress_survives_its_file(tmp_path: Path) -> None:
    """Enums, checks and floats come back as they were, to the last bit."""
    task = CASES["best state"].task()
    checks = (Check(0, 1 / 3, None, None), Check(2, 0.1, 2e-17, -1.5))
    progress = Progress(3, {"dual": 1 / 7}, 0.1, "resume", checks, StopReason.patience, True, 2)
    fit_module.save_checkpoint(tmp_path / CHECKPOINT, task.model, None, progress, {})
    assert read_progress(tmp_path / CHECKPOINT, "resume") == progress
    assert read_progress(tmp_path / CHECKPOINT, "another") is None


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    """The error is one line, and no traceback of the file format."""
    (tmp_path / CHECKPOINT).mkdir()
    (tmp_path / CHECKPOINT / "resume.step-3.part-0-of-1.safetensors").write_bytes(b"garbage")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        CASES["mixed"].run(tmp_path)


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    """Half-written files of training are removed, and no others."""
    (tmp_path / CHECKPOINT).mkdir()
    checkpoint = f"{CHECKPOINT}/.resume.step-3.part-0-of-1.safetensors"
    ours = (".best.safetensors", ".checks.csv", ".loss_curve.csv", checkpoint)
    for name in (*(f"{name}.12.partial" for name in ours), ".other.3.partial"):
        (tmp_path / name).write_bytes(b"half")
    CASES["mixed"].run(tmp_path)
    assert [path.name for path in tmp_path.rglob(".*.partial")] == [".other.3.partial"]


@pytest.mark.by_default("best state")
@pytest.mark.parametrize("name", ["mixed", "best state"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One line ends the run; with room again, it goes on to the same weights."""
    case = CASES[name]
    expected, _ = case.run(tmp_path / "whole")
    calls = 0

    def full(_handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(artefacts.os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written.*No space left on device") as caught:
            case.run(tmp_path / "cut")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cut").rglob(".*.partial"))
    progress = read_progress(tmp_path / "cut" / CHECKPOINT, "resume")
    assert progress is not None
    assert 1 < progress.next_step < len(case.plan)
    resumed, _ = case.run(tmp_path / "cut")
    assert same_weights(resumed, expected)


def test_divergence_is_one_line(tmp_path: Path) -> None:
    """The error for a loss that is not a number names the step."""
    task = CASES["mixed"].task()
    with torch.no_grad():
        next(iter(task.model.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="diverged at step 0"):
        fit(task, TRAINER, tmp_path, [])


def test_a_missing_best_state_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint whose best weights are missing is refused."""
    case = CASES["best state"]
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "_finish", kill)
        with pytest.raises(KilledError):
            case.run(tmp_path)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(InputError, match="not a readable best state"):
        case.run(tmp_path)
