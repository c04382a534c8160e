"""What unlearn-report compares, and which settings it selects."""

import math
from dataclasses import dataclass, field

from omegaconf import MISSING

from unlearning.config.checks import require


@dataclass
class ConstraintConfig:
    """What settings have to keep in order to be selected: a share of what the target model has."""

    metric: str = "utility"
    """A key of metrics.json."""
    share_of_target: float = 0.75
    """Finite and above 0. The mean over seeds is at least this share of the target model's number; at most, where lower
    is better. The default is the threshold of SemEval-2025 Task 4: three quarters of the target's MMLU accuracy."""

    def check(self, key: str) -> None:
        """Raise InputError for a share that no number could be held against."""
        share = self.share_of_target
        require(math.isfinite(share) and share > 0, f"{key}.share_of_target", share, "finite and above 0")


@dataclass
class SelectConfig:
    """The rule by which one of the settings compared is selected: the best mean over seeds among those allowed."""

    by: str = "final"
    """A key of metrics.json of which lower or higher is better."""
    constraint: ConstraintConfig | None = field(default_factory=ConstraintConfig)
    """Null: all settings are allowed."""


@dataclass
class ReportConfig:
    """Compare finished runs."""

    runs: str = MISSING
    """A folder that holds runs, at any depth."""
    out: str | None = None
    """Folder for report.html and its tables; null: the folder `runs`."""
    select: SelectConfig = field(default_factory=SelectConfig)
