"""A run that is killed or interrupted goes on where it was."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, SandboxRuns, read
from tests.processes import exit_code, start
from unlearning import cli
from unlearning.commands.stages import results
from unlearning.training import callbacks

pytestmark = pytest.mark.usefixtures("without_figures")
STEPS = 4


def interruptible(folder: str, cache: Path) -> list[str]:
    """Return the command line of a run of a few steps, with a checkpoint after each."""
    return [
        "method=grad_diff",
        *SHORT,
        "logger=none",
        f"trainer.max_steps={STEPS}",
        "trainer.checkpoint_every_seconds=0",
        "schedule.batch_rows=4",
        "optimizer.lr=1e-3",
        f"cache_dir={cache}",
        f"hydra.run.dir={folder}",
    ]


@pytest.fixture(scope="module")
def uninterrupted(runs: SandboxRuns) -> dict[str, Tensor]:
    """Return the weights of the run that was not interrupted."""
    ended = run_command("unlearn", interruptible("whole", runs.folder / "cache"), runs.folder)
    assert ended.code == 0, ended.err
    return load_file(runs.folder / "whole" / "model" / "model.safetensors")


def same_weights(folder: Path, expected: dict[str, Tensor]) -> None:
    """Check that the weights are equal to the last bit, and that the curve has each step once."""
    found = load_file(folder / "model" / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (folder / "loss_curve.csv").read_text() == (folder.parent / "whole" / "loss_curve.csv").read_text()


def killed_after_step_1(words: list[str]) -> None:
    """Run `unlearn` in this process and kill it after the second step."""
    torch.set_num_threads(1)
    original = callbacks.CurveWriter.on_train_batch_end

    def then_kill(self: callbacks.CurveWriter, trainer: Any, module: Any, *rest: Any) -> None:
        original(self, trainer, module, *rest)
        if module.last_record.step == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.CurveWriter.on_train_batch_end = then_kill  # type: ignore[method-assign]
    sys.argv = ["unlearn", *words]
    cli.unlearn()


def test_a_killed_run_goes_on(runs: SandboxRuns, uninterrupted: dict[str, Tensor]) -> None:
    """The process is killed between two steps, and the same command is given again."""
    words = interruptible("killed", runs.folder / "cache")
    process = start(killed_after_step_1, words, folder=runs.folder)
    assert exit_code(process) == -signal.SIGKILL, (runs.folder / "process.err").read_text()
    assert read(runs.folder / "killed" / "status.json")["state"] == "running"
    assert run_command("unlearn", words, runs.folder).code == 0
    same_weights(runs.folder / "killed", uninterrupted)


@pytest.fixture
def ctrl_c_after_step_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Send the process the signal of Ctrl-C after the second step."""
    original = callbacks.CurveWriter.on_train_batch_end

    def then_interrupt(self: callbacks.CurveWriter, trainer: Any, module: Any, *rest: Any) -> None:
        original(self, trainer, module, *rest)
        if module.last_record.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.CurveWriter, "on_train_batch_end", then_interrupt)
        yield


@pytest.mark.usefixtures("ctrl_c_after_step_1")
def test_ctrl_c_says_how_to_go_on(
    runs: SandboxRuns, uninterrupted: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 130, and the command that is printed finishes the run."""
    ended = run_command("unlearn", interruptible("interrupted", runs.folder / "cache"), runs.folder)
    assert ended.code == 130
    assert read(runs.folder / "interrupted" / "status.json")["state"] == "interrupted"
    (line,) = (line for line in ended.err.splitlines() if line.startswith("interrupted; to go on: "))
    name, *words = shlex.split(line.removeprefix("interrupted; to go on: "))
    assert name == "unlearn"
    assert read(runs.folder / "interrupted" / "status.json")["resume"] == shlex.join([name, *words])
    # The hook interrupts after step 1 only, which is done.
    assert run_command("unlearn", words, runs.folder).code == 0
    monkeypatch.undo()
    same_weights(runs.folder / "interrupted", uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_model_is_scored(
    runs: SandboxRuns, uninterrupted: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Both end it with its state written, also outside training; afterwards the process has its own handler again."""
    handler = signal.getsignal(signal.SIGTERM)
    words = interruptible(number.name, runs.folder / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(results, "evaluate_model", lambda *_: os.kill(os.getpid(), number))
        ended = run_command("unlearn", words, runs.folder)
    assert ended.code == 130
    assert "interrupted; to go on: " in ended.err
    assert read(runs.folder / number.name / "status.json")["state"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == handler
    assert run_command("unlearn", words, runs.folder).code == 0
    same_weights(runs.folder / number.name, uninterrupted)
