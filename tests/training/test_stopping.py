"""Training ends before its plan does: by patience, by time, by divergence and by collapse."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.resumable import CASES, TRAINER, Case, same_weights
from tests.training.test_resume import KilledError, after_step, kill
from unlearning.config.checks import check_ranges
from unlearning.config.stopping import StoppingConfig
from unlearning.errors import InputError
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.rows import Rows
from unlearning.training.checkpoint import CHECKPOINT, read_progress, read_tensors, write_tensors
from unlearning.training.checkpoint_writer import CheckpointWriter
from unlearning.training.fit import fit
from unlearning.training.stopping_rules import Check, StopReason, stop_after

BEST_STATE = CASES["best state"]
"""Checks after 2, 4, 6, 8 and 9 steps; the best is the first."""


@dataclass
class Diverging(GradDiff):
    """An objective whose sixth step has a loss, or a gradient, that is not a number."""

    in_gradient: bool = False
    steps: int = 0

    def observe(self, retain_loss_nats: float | None, retain_rows: int, in_first_epoch: bool) -> None:  # noqa: ARG002
        """Count the steps."""
        self.steps += 1

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:
        """Return terms that are infinite, or whose gradient is: the root of zero has an infinite slope."""
        terms = super().forget_terms(rows, refusals)
        if self.steps < 5 or not torch.is_grad_enabled():
            return terms
        return terms + (terms * 0).sqrt() if self.in_gradient else terms * float("inf")


def checks(*retain: float) -> list[Check]:
    """Return checks with these retain losses after 0, 1, 2, ... steps, and a falling forget loss."""
    return [Check(step, -float(step), loss, None) for step, loss in enumerate(retain)]


@pytest.mark.parametrize(
    ("found", "reason", "words"),
    [
        (checks(1.0), None, ""),
        (checks(1.0, 1.0, 1.0), None, ""),
        (checks(1.0, 1.0, 1.0, 1.0), StopReason.patience, "after step 1 for 2 checks"),
        (checks(1.0, 4.0, 3.9), None, ""),
        (checks(1.0, 4.01), StopReason.collapse, "after step 1 is 4.01 nats, 1 before training"),
        (checks(float("nan")), StopReason.divergence, "after step 0 is not a number"),
        (checks(1.0, float("inf")), StopReason.divergence, "after step 1 is not a number"),
        ([*checks(1.0), Check(1, 1.0, 1.0, None, math.nan, 1.0, 0.0)], StopReason.divergence, "after step 1 is not a"),
    ],
    ids=["start", "one worse", "two worse", "at the bound", "collapse", "start is NaN", "infinite", "unseen is NaN"],
)
def test_what_a_check_asks_for(found: list[Check], reason: StopReason | None, words: str) -> None:
    """Patience is 2, and 3 nats above the 1.0 before training a collapse; of equal retain losses the first is best."""
    stop = stop_after(found, StoppingConfig(check_every_steps=1, patience=2, collapse_nats=3.0))
    assert (stop.reason if stop else None) == reason
    assert stop is None or words in stop.message


@pytest.mark.parametrize(
    ("forget", "reason"),
    [
        ((1.0, 1.0), None),
        ((1.0, 1.0, 1.0), StopReason.unmoved),
        ((1.0, 1.0, 1.25), None),
        ((1.0, 1.5, 1.2), StopReason.unmoved),
        ((1.0, 1.5, 1.5, 0.9), StopReason.unmoved),
        ((None, None, None), None),
    ],
    ids=["too early", "at its place", "at the bound", "back again", "later", "no forget rows"],
)
def test_a_model_that_does_not_move(forget: tuple[float | None, ...], reason: StopReason | None) -> None:
    """From the second check on, the forget loss must have risen by a quarter nat."""
    found = [Check(step, loss, 1.0, None) for step, loss in enumerate(forget)]
    stop = stop_after(found, StoppingConfig(check_every_steps=1, unmoved_check=2, unmoved_nats=0.25))
    assert (stop.reason if stop else None) == reason
    assert stop is None or f"is {forget[-1]:g} nats, 1 before training (stopping.unmoved_check=2" in stop.message


def test_patience_ends_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The best check is after step 1; three worse ones end training after four steps of nine.

    The weights are the last ones (keep_best=false), so the record names no best step.
    """
    case = CASES["patience"]
    found, record = case.run(tmp_path / "watched")
    assert (record.stopped, record.steps, record.best_step) == (StopReason.patience, 4, None)
    assert (record.rows, record.tokens) == rows_and_tokens(case, 4)
    expected, _ = replace(case, stopping=StoppingConfig()).run(tmp_path / "cut", replace(TRAINER, max_steps=4))
    assert same_weights(found, expected)
    assert len((tmp_path / "watched" / "loss_curve.csv").read_text().splitlines()) == 1 + 4
    assert "no check was better than that after step 1 for 3 checks\n" in capfd.readouterr().err


def rows_and_tokens(case: Case, steps: int) -> tuple[int, int]:
    """Return the numbers of rows and tokens of a plan's first steps."""
    chosen = case.task().rows
    rows = [chosen.forget[row] for step in case.plan[:steps] for row in step.forget]
    rows += [chosen.retain[row] for step in case.plan[:steps] for row in step.retain]
    return len(rows), sum(len(row.input_ids) for row in rows)


def test_time_ends_training_after_the_step_in_hand(tmp_path: Path) -> None:
    """No checks are needed for that; the weights are those of one step, also after another attempt."""
    case = Case(stopping=StoppingConfig(max_seconds=1e-9))
    found, record = case.run(tmp_path / "late")
    assert (record.stopped, record.steps, record.best_step) == (StopReason.max_seconds, 1, None)
    expected, _ = Case().run(tmp_path / "cut", replace(TRAINER, max_steps=1))
    assert same_weights(found, expected)
    again, same = case.run(tmp_path / "late")
    assert same_weights(again, expected)
    assert same == record


def test_the_time_of_earlier_attempts_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt of three steps that took a million seconds leaves time for one more step, of an hour."""
    case = Case(stopping=StoppingConfig(max_seconds=3600))
    with monkeypatch.context() as patch:
        after_step(patch, CheckpointWriter, 2, kill)
        with pytest.raises(KilledError):
            case.run(tmp_path)
    (path,) = (tmp_path / CHECKPOINT).iterdir()
    metadata, tensors = read_tensors(path, True)
    progress = read_progress(tmp_path / CHECKPOINT, "resume")
    assert progress is not None
    spent = f'"seconds": {progress.seconds!r}'
    assert spent in metadata["progress"]
    write_tensors(path, tensors, {"progress": metadata["progress"].replace(spent, '"seconds": 1e6')})
    _, record = case.run(tmp_path)
    assert (record.stopped, record.steps) == (StopReason.max_seconds, 4)
    assert record.seconds > 1e6


def test_the_last_weights_are_checked_when_time_is_over(tmp_path: Path) -> None:
    """The last weights are checked, and they are the best ones as the only ones."""
    case = replace(BEST_STATE, stopping=replace(BEST_STATE.stopping, max_seconds=1e-9))
    _, record = case.run(tmp_path)
    assert (record.stopped, record.steps, record.best_step) == (StopReason.max_seconds, 1, 1)


def test_no_limit_no_stop(tmp_path: Path) -> None:
    """The record of a whole run says that nothing stopped it."""
    _, record = Case(stopping=StoppingConfig(max_seconds=1e9)).run(tmp_path)
    assert (record.stopped, record.best_step, record.steps) == (None, None, len(Case().plan))


@pytest.mark.parametrize("in_gradient", [False, True], ids=["loss", "gradient"])
def test_divergence_leaves_the_best_weights(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], in_gradient: bool
) -> None:
    """Step 5 fails after checks at 2 and 4: one line says so, and the weights of step 2 are the result."""
    case = replace(BEST_STATE, objective=partial(Diverging, retain_weight=0.3, in_gradient=in_gradient))
    found, record = case.run(tmp_path / "watched")
    assert (record.stopped, record.steps, record.best_step) == (StopReason.divergence, 5, 2)
    expected, _ = BEST_STATE.run(tmp_path / "cut", replace(TRAINER, max_steps=2))
    assert same_weights(found, expected)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "diverged" in line]
    assert line.startswith("warning: training diverged at step 5")
    assert line.endswith("the weights of the best check, after step 2, are the result")


@pytest.mark.parametrize(
    "stopping",
    [
        StoppingConfig(),
        StoppingConfig(check_every_steps=6, check_rows=5),
        StoppingConfig(check_every_steps=2, check_rows=5, keep_best=False),
    ],
    ids=["no checks", "none before it", "not kept"],
)
def test_divergence_without_a_best_state_fails(tmp_path: Path, stopping: StoppingConfig) -> None:
    """Without best weights the run fails."""
    case = replace(BEST_STATE, objective=partial(Diverging, retain_weight=0.3), stopping=stopping)
    with pytest.raises(InputError, match="training diverged at step 5"):
        case.run(tmp_path)


def test_collapse_leaves_the_best_weights(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """After step 6 the retain loss has risen by 6.1 nats, which is more than 5."""
    case = replace(BEST_STATE, stopping=replace(BEST_STATE.stopping, collapse_nats=5.0))
    found, record = case.run(tmp_path / "watched")
    assert (record.stopped, record.steps, record.best_step) == (StopReason.collapse, 6, 2)
    expected, _ = BEST_STATE.run(tmp_path / "cut", replace(TRAINER, max_steps=2))
    assert same_weights(found, expected)
    assert "warning: training collapsed: the retain loss checked after step 6 is" in capfd.readouterr().err


def test_collapse_in_the_last_step_counts_too(tmp_path: Path) -> None:
    """The plan is over, but its last weights are of no use."""
    stopping = StoppingConfig(check_every_steps=2, check_rows=5, collapse_nats=5.0, keep_best=False)
    with pytest.raises(InputError, match=r"training collapsed.*after step 6 .*stopping.collapse_nats=5"):
        replace(BEST_STATE, stopping=stopping).run(tmp_path, replace(TRAINER, max_steps=6))


def test_a_model_that_is_broken_from_the_start_fails(tmp_path: Path) -> None:
    """The check before training finds it."""
    task = BEST_STATE.task()
    with torch.no_grad():
        next(iter(task.model.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="diverged: a loss checked after step 0 is not a number"):
        fit(task, TRAINER, tmp_path, [])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"check_every_steps": 0}, "stopping.check_every_steps=0: must be 1 or more, or null"),
        ({"check_rows": 0}, "stopping.check_rows=0: must be 1 or more"),
        ({"check_part_rows": 0}, "stopping.check_part_rows=0: must be 1 or more, or null"),
        ({"max_retain_rise_nats": -0.1}, "stopping.max_retain_rise_nats=-0.1: must be 0 or more"),
        ({"patience": 0}, "stopping.patience=0: must be 1 or more, or null"),
        ({"patience": 3}, "stopping.patience=3: must be null without stopping.check_every_steps"),
        ({"unmoved_check": 0}, "stopping.unmoved_check=0: must be 1 or more, or null"),
        ({"unmoved_check": 3}, "stopping.unmoved_check=3: must be null without stopping.check_every_steps"),
        ({"unmoved_nats": 0.0}, "stopping.unmoved_nats=0.0: must be above 0"),
        ({"observe_checks": True}, "stopping.observe_checks=True: must be false without stopping.check_every_steps"),
        ({"collapse_nats": 0.0}, "stopping.collapse_nats=0.0: must be above 0, or null"),
        ({"max_seconds": 0.0}, "stopping.max_seconds=0.0: must be above 0, or null"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], complaint: str) -> None:
    """The error is one line with key, value and what is allowed."""
    with pytest.raises(InputError, match=f"^{complaint}$"):
        check_ranges(StoppingConfig(**settings), "stopping")  # type: ignore[arg-type]
