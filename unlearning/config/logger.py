"""Where the curves of a run go."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING


class LoggerKind(StrEnum):
    """Where curves go; metrics.json and loss_curve.csv are written whatever is chosen."""

    csv = "csv"
    wandb_offline = "wandb_offline"
    wandb = "wandb"
    none = "none"


@dataclass
class LoggerConfig:
    """Where the curves of a run go."""

    kind: LoggerKind = MISSING
    project: str = "unlearning"
    """W&B project."""
    entity: str | None = None
    """W&B user or team; null: that of the account."""
    group: str | None = None
    """W&B group; a multirun puts all its jobs into one."""
    tags: list[str] = field(default_factory=list)
    """Tags beside those that name the choice of each configuration group, such as "method=npo"."""
    log_model: bool = False
    """Whether W&B is given the weights too, as an artifact (and with them whatever the model still knows)."""
