"""In which order, and in which proportion, forget and retain rows meet."""

from dataclasses import dataclass

from omegaconf import MISSING

from unlearning.config.checks import require


@dataclass
class ScheduleConfig:
    """Base of all schedules: in which order, and with which retain rows, forget rows are met."""

    _target_: str = MISSING
    epochs: int = 1
    batch_rows: int = 32
    """Rows of an optimiser step, forget and retain together."""
    batch_tokens: int | None = None
    """Instead of batch_rows: a step takes rows, each with its retain rows where there is a ratio, until the next would
    exceed so many tokens, prompts included; at least one. Null: batch_rows counts."""
    accumulate: int = 1
    """Parts a step of batch_rows is cut into, in the order in which rows were drawn. A part has its own denominators
    and weights, and the step's loss is the mean of its parts' losses: the Hugging Face Trainer's gradient
    accumulation."""

    def __post_init__(self) -> None:
        budget = self.batch_tokens
        require(self.epochs >= 1, "schedule.epochs", self.epochs, "1 or more")
        require(budget is None or budget >= 1, "schedule.batch_tokens", budget, "1 or more, or null")
        _check_steps("", self.batch_rows, self.accumulate, budget)


@dataclass
class MixedScheduleConfig(ScheduleConfig):
    """Forget and retain rows shuffled together, the whole set an epoch."""

    _target_: str = "unlearning.schedules.mixed.MixedSchedule"


@dataclass
class ChunkedScheduleConfig(ScheduleConfig):
    """The forget set in chunks, each with its own epochs, optimiser and retain rows (AILS-NTUA's SUGD)."""

    _target_: str = "unlearning.schedules.chunked.ChunkedSchedule"
    chunk_rows: int = 32
    """Forget rows of a chunk; the last chunk may be smaller."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.chunk_rows >= 1, "schedule.chunk_rows", self.chunk_rows, "1 or more")


@dataclass
class AlternatingScheduleConfig(ScheduleConfig):
    """Ascent on a chunk of forget rows, then annealing on retain rows, in turns (AILS-NTUA's AGAD).

    Needs ratio.retain_per_forget=null. epochs, batch_rows and accumulate are those of a chunk's ascent.
    """

    _target_: str = "unlearning.schedules.alternating.AlternatingSchedule"
    chunk_rows: int = 64
    """Forget rows of a chunk; the last chunk may be smaller."""
    interleaving: float = 1.0
    """An annealing phase after every 1 / interleaving chunks, rounded up; in (0, 1]."""
    annealing_fraction: float = 0.25
    """Share of the retain set that an annealing phase draws at random; in (0, 1]."""
    final_annealing: bool = True
    """Whether the run ends with an annealing phase over the whole retain set."""
    annealing_epochs: int = 3
    annealing_batch_rows: int = 16
    """Rows of an optimiser step of an annealing phase; batch_tokens, where it is set, replaces this too."""
    annealing_accumulate: int = 1
    """Parts a step of annealing_batch_rows is cut into, as accumulate."""
    annealing_lr_factor: float = 1.0
    """Multiplies optimizer.lr in annealing phases."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("chunk_rows", "annealing_epochs"):
            require(getattr(self, name) >= 1, f"schedule.{name}", getattr(self, name), "1 or more")
        for name in ("interleaving", "annealing_fraction"):
            require(0 < getattr(self, name) <= 1, f"schedule.{name}", getattr(self, name), "above 0 and at most 1")
        factor = self.annealing_lr_factor
        require(factor > 0, "schedule.annealing_lr_factor", factor, "above 0")
        _check_steps("annealing_", self.annealing_batch_rows, self.annealing_accumulate, self.batch_tokens)


@dataclass
class RatioConfig:
    """How many retain rows meet one forget row."""

    retain_per_forget: int | None = None
    """Null: every retain row once an epoch, whatever the number of forget rows."""

    def __post_init__(self) -> None:
        value = self.retain_per_forget
        require(value is None or value >= 0, "ratio.retain_per_forget", value, "0 or more, or null for all rows")


def _check_steps(prefix: str, rows: int, parts: int, budget: int | None) -> None:
    """Raise InputError where steps of so many rows, or of a token budget, cannot be cut into so many parts."""
    key = f"schedule.{prefix}accumulate"
    require(rows >= 1, f"schedule.{prefix}batch_rows", rows, "1 or more")
    require(parts >= 1, key, parts, "1 or more")
    whole = f"1 with schedule.batch_tokens={budget}, which leaves no number of rows to cut"
    require(parts == 1 or budget is None, key, parts, whole)
    require(rows % parts == 0, key, parts, f"a divisor of schedule.{prefix}batch_rows={rows}")
