"""In which proportion forget and retain rows meet."""

from dataclasses import dataclass

from unlearning.config.checks import at_least


@dataclass
class RatioConfig:
    """How many retain rows meet one forget row."""

    retain_per_forget: int | None = at_least(0, None)
    """Null: every retain row once an epoch, whatever the number of forget rows."""
