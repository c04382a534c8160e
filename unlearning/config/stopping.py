"""What is checked during training, which state is kept, and what ends training early."""

from dataclasses import dataclass
from enum import StrEnum

from unlearning.config.checks import above, at_least, require


class BestBy(StrEnum):
    """Which check found the best state."""

    constrained = "constrained"
    """The highest forget loss among checks whose retain loss has risen by at most stopping.max_retain_rise_nats since
    before training; where there is no such check, the lowest retain loss."""
    objective = "objective"
    """The lowest value of the objective's own loss (SHA256's released code, arXiv 2504.12996)."""


@dataclass
class StoppingConfig:
    """When training ends early. A check measures the losses on some rows of both sets, without gradient or dropout.

    There is one before training, one every few steps, and one at the end. A forget loss is that of the row's own
    answer, whatever the objective trains in its place.
    """

    check_every_steps: int | None = at_least(1, None)
    """Steps between checks; null: no checks, which leaves stopping.max_seconds alone in force."""
    check_last_step: bool = True
    """Whether the end of the plan is checked where it is no multiple of check_every_steps. With false its weights are
    never the best: the Hugging Face Trainer saves its last step, but evaluates it only on the grid."""
    check_rows: int = at_least(1, 64)
    """Rows of each set that a check looks at, spread evenly over the set; all rows of a smaller set."""
    check_part_rows: int | None = at_least(1, None)
    """The objective's loss on a check is the mean, by numbers of rows, over parts of so many rows with weights of their
    own, as the Hugging Face Trainer evaluates: forget rows come first, then retain rows, and one part may have both;
    null: all rows at once."""
    observe_checks: bool = False
    """Whether the retain losses of the first epoch's checks, part by part, enter what the objective learns from losses,
    such as the adaptive reference: a quirk of SHA256's released code."""
    keep_best: bool = True
    """Whether the weights of the best check are kept, and are the result. Without checks there are none to keep."""
    best_by: BestBy = BestBy.constrained
    max_retain_rise_nats: float = at_least(0, 0.1)
    """Nats a token, for best_by=constrained."""
    patience: int | None = at_least(1, None)
    """Training stops after so many checks without a better one; null: it never stops for this reason."""
    collapse_nats: float | None = above(0, 10.0)
    """Stop where a check's retain loss has risen by more than this since before training; null: never for that.
    A run without a best state to go back to fails."""
    unmoved_check: int | None = at_least(1, None)
    """From this check on (1 is the first one after steps), stop where the forget loss has risen by less than
    unmoved_nats since before training; null: never for that. A run without a best state to go back to fails, so that a
    search spends no evaluation on it."""
    unmoved_nats: float = above(0, 0.05)
    """Rise of the forget loss, in nats a token, below which the model counts as unmoved."""
    max_seconds: float | None = above(0, None)
    """Stop after the step in which training, over all attempts, has taken so long; the run goes on to its evaluation.
    The task allowed an hour for everything, loading and saving included. Null: no limit."""

    def check(self, key: str) -> None:
        """Raise InputError for keys that mean nothing without checks."""
        checks, without = self.check_every_steps is not None, f"without {key}.check_every_steps"
        require(checks or self.patience is None, f"{key}.patience", self.patience, f"null {without}")
        require(checks or self.unmoved_check is None, f"{key}.unmoved_check", self.unmoved_check, f"null {without}")
        require(checks or not self.observe_checks, f"{key}.observe_checks", True, f"false {without}")
        require(checks or self.check_last_step, f"{key}.check_last_step", False, f"true {without}")
