"""What is trained on what, and what training took."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from unlearning.config.noised_start import NoisedStartConfig
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.data.encoding import EncodedRow
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep
from unlearning.training.checkpoint import Progress
from unlearning.training.step_data import TrainingRows
from unlearning.training.stopping_rules import StopReason


@dataclass(frozen=True)
class ComparedRows:
    """Rows whose losses a moving ceiling brings together; see `moving_ceiling`."""

    alike: Sequence[EncodedRow]
    """The forget rows of the unseen rows' tasks and kinds, with their own answers."""
    unseen: Sequence[EncodedRow]


@dataclass(frozen=True)
class TrainingTask:
    """What is trained on what."""

    model: nn.Module
    objective: Objective
    plan: Sequence[PlanStep]
    rows: TrainingRows
    pad: int
    """Id of the padding token."""
    optimizer: OptimizerConfig
    seed: int
    identity: str
    """Hash of everything here; see `Progress.identity`."""
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    sam_radius: float = 0.0
    """How far uphill the forget gradient is taken; see `gradients.moved_uphill`."""
    noised_start: NoisedStartConfig = field(default_factory=NoisedStartConfig)
    own_answers: TrainingRows | None = None
    """The same rows with their own answers, for checks, where `rows` have other answers; None: `rows`."""
    compared: ComparedRows | None = None
    """What a moving ceiling looks at; None: the ceiling stays."""


@dataclass(frozen=True)
class TrainingRecord:
    """What training took."""

    seconds: float
    steps: int
    """Number of steps made, which may be fewer than the plan has."""
    tokens: int
    rows: int
    stopped: StopReason | None
    """Why training ended before its plan; None where it did not."""
    best_step: int | None
    """Steps made before the best check, whose weights are the result; None where those after the last step are."""


def record_of(task: TrainingTask, steps: Sequence[PlanStep], done: Progress) -> TrainingRecord:
    """Return the record of a task of which these steps were made."""
    rows, objective = task.rows, task.objective
    used = [rows.forget[row] for step in steps for row in step.forget if objective.uses_forget]
    used += [rows.refusals[row] for step in steps for row in step.forget if objective.uses_forget and rows.refusals]
    used += [rows.retain[row] for step in steps for row in step.retain if objective.uses_retain]
    return TrainingRecord(
        seconds=done.seconds,
        steps=len(steps),
        tokens=sum(len(row.input_ids) for row in used),
        rows=len(used),
        stopped=done.stopped,
        best_step=done.best_step,
    )
