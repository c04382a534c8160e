"""In which order forget and retain rows meet."""

from dataclasses import dataclass

from omegaconf import MISSING

from unlearning.config.checks import above, at_least, require, within


@dataclass
class ScheduleConfig:
    """Base of all schedules: in which order, and with which retain rows, forget rows are met."""

    _target_: str = MISSING
    epochs: int = at_least(1, 1)
    """Passes over the forget set, or over each chunk of it."""
    batch_rows: int = at_least(1, 32)
    """Rows of an optimiser step, forget and retain together."""
    batch_tokens: int | None = at_least(1, None)
    """Instead of batch_rows: a step takes rows, each with its retain rows where there is a ratio, until the next would
    exceed so many tokens, prompts included; at least one. Null: batch_rows counts."""
    accumulate: int = at_least(1, 1)
    """Parts a step of batch_rows is cut into, in the order in which rows were drawn, as gradient accumulation of the
    Hugging Face Trainer does. A part has a loss of its own, with its own denominators and weights;
    optimizer.accumulation says whether the step's loss is their mean or their sum."""
    floor_steps: bool = False
    """Whether a phase (the whole run, or a chunk) ends after epochs times the steps of an epoch that have all their
    parts, at least one an epoch: the Hugging Face Trainer counts so. It makes a step of fewer parts at an epoch's end
    all the same, so that the end of the last epoch is cut off. The learning rate reaches 0 there. False: every epoch is
    whole."""

    def check(self, key: str) -> None:
        """Raise InputError where a step cannot be cut into so many parts."""
        self._check_parts(key, "", self.batch_rows, self.accumulate)

    def _check_parts(self, key: str, phase: str, rows: int, parts: int) -> None:
        """Raise InputError where steps of so many rows, or of a token budget, cannot be cut into so many parts.

        `phase` begins the names of the keys: "annealing_", or nothing.
        """
        name, budget = f"{key}.{phase}accumulate", self.batch_tokens
        whole = f"1 with {key}.batch_tokens={budget}, which leaves no number of rows to cut"
        require(parts == 1 or budget is None, name, parts, whole)
        require(rows % parts == 0, name, parts, f"a divisor of {key}.{phase}batch_rows={rows}")


@dataclass
class MixedScheduleConfig(ScheduleConfig):
    """Forget and retain rows shuffled together, the whole set an epoch."""

    _target_: str = "unlearning.schedules.mixed.MixedSchedule"


@dataclass
class ChunkedScheduleConfig(ScheduleConfig):
    """The forget set in chunks, each with its own epochs, optimiser and retain rows (AILS-NTUA's SUGD)."""

    _target_: str = "unlearning.schedules.chunked.ChunkedSchedule"
    chunk_rows: int = at_least(1, 32)
    """Forget rows of a chunk; the last chunk may be smaller."""


@dataclass
class AlternatingScheduleConfig(ScheduleConfig):
    """Ascent on a chunk of forget rows, then annealing on retain rows, in turns (AILS-NTUA's AGAD).

    Needs ratio.retain_per_forget=null. epochs, batch_rows and accumulate are those of a chunk's ascent.
    """

    _target_: str = "unlearning.schedules.alternating.AlternatingSchedule"
    chunk_rows: int = at_least(1, 64)
    """Forget rows of a chunk; the last chunk may be smaller."""
    interleaving: float = within("(0, 1]", 1.0)
    """An annealing phase follows every 1 / interleaving chunks, rounded up."""
    annealing_fraction: float = within("(0, 1]", 0.25)
    """Share of the retain set that an annealing phase draws at random."""
    final_annealing: bool = True
    """Whether the run ends with an annealing phase over the whole retain set."""
    annealing_epochs: int = at_least(1, 3)
    """Passes of an annealing phase over its retain rows."""
    annealing_batch_rows: int = at_least(1, 16)
    """Rows of an optimiser step of an annealing phase; batch_tokens, where it is set, replaces this too."""
    annealing_accumulate: int = at_least(1, 1)
    """Parts a step of annealing_batch_rows is cut into, as accumulate."""
    annealing_lr_factor: float = above(0, 1.0)
    """Multiplies optimizer.lr in annealing phases."""

    def check(self, key: str) -> None:
        """Raise InputError where a step of either phase cannot be cut into so many parts."""
        super().check(key)
        self._check_parts(key, "annealing_", self.annealing_batch_rows, self.annealing_accumulate)
