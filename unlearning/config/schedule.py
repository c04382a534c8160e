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

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "schedule.epochs", self.epochs, "1 or more")
        require(self.batch_rows >= 1, "schedule.batch_rows", self.batch_rows, "1 or more")


@dataclass
class MixedScheduleConfig(ScheduleConfig):
    """Forget and retain rows shuffled together, the whole set an epoch."""

    _target_: str = "unlearning.data.schedules.MixedSchedule"


@dataclass
class ChunkedScheduleConfig(ScheduleConfig):
    """The forget set in chunks, each with its own epochs, optimiser and retain rows (AILS-NTUA's SUGD)."""

    _target_: str = "unlearning.data.schedules.ChunkedSchedule"
    chunk_rows: int = 32
    """Forget rows of a chunk; the last chunk may be smaller."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.chunk_rows >= 1, "schedule.chunk_rows", self.chunk_rows, "1 or more")


@dataclass
class RatioConfig:
    """How many retain rows meet one forget row."""

    retain_per_forget: int | None = None
    """Null: every retain row once an epoch, whatever the number of forget rows."""

    def __post_init__(self) -> None:
        value = self.retain_per_forget
        require(value is None or value >= 0, "ratio.retain_per_forget", value, "0 or more, or null for all rows")
