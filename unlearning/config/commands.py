"""The root of each command."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from unlearning.config.checks import require
from unlearning.config.data import DataConfig
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.machinery import LoggerConfig, TrainerConfig
from unlearning.config.model import ModelConfig
from unlearning.config.objective import ObjectiveConfig, Reduction
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.schedule import RatioConfig, ScheduleConfig
from unlearning.config.scope import ScopeConfig
from unlearning.config.text import PromptConfig
from unlearning.config.trace import TraceConfig


@dataclass
class RecipeConfig:
    """How a model memorises: cross-entropy on whole documents, all weights, rows shuffled every epoch.

    The defaults make the sandbox's models, whatever their architecture.
    """

    seed: int = 0
    """Of the weights' start and the rows' order; not the run's seed, so that seeds of a sweep share one sandbox."""
    epochs: int = 32
    batch_rows: int = 48
    reduction: Reduction = Reduction.token
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3, warmup_steps=50))

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "recipe.epochs", self.epochs, "1 or more")
        require(self.batch_rows >= 1, "recipe.batch_rows", self.batch_rows, "1 or more")


@dataclass
class CommonConfig:
    """Keys that every command which touches a model has."""

    name: str = MISSING
    """Names the run folder."""
    seed: int = 0
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    prompt: PromptConfig = field(default_factory=PromptConfig)
    trainer: TrainerConfig = MISSING
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """How models are made here: by unlearn-memorise, and by the other commands for a sandbox that is not built yet."""
    cache_dir: str = "outputs/cache"
    """Sandbox variants and evaluation results, keyed by content."""


@dataclass
class UnlearnConfig(CommonConfig):
    """The whole pipeline: load, trace, unlearn, evaluate, report."""

    method: str = MISSING
    """Label of the preset."""
    objective: ObjectiveConfig = MISSING
    scope: ScopeConfig = MISSING
    schedule: ScheduleConfig = MISSING
    ratio: RatioConfig = MISSING
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trace: TraceConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING
    save_model: bool = True
    """Whether the merged weights (and the adapter, with LoRA) are written to the run folder."""


@dataclass
class MemoriseConfig(CommonConfig):
    """Train a model until it has memorised the rows: the one at model.path, or a new one where that is null."""

    scope: ScopeConfig = MISSING
    """Which weights memorise: knowledge can be planted in chosen blocks of a model that lacks it."""
    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING
    forget: bool = True
    """False: leave the forget set out, which makes the gold model."""
    assets: str | None = None
    """Folder for the sandbox's target and gold model, both made in half precision; null: an ordinary run."""


@dataclass
class TraceCommandConfig(CommonConfig):
    """Causal mediation analysis alone."""

    trace: TraceConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class EvaluateConfig(CommonConfig):
    """Score one model."""

    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class ReportConfig:
    """Compare finished runs."""

    runs: str = MISSING
    """A folder that holds runs, at any depth."""
    out: str | None = None
    """Where report.html and its tables go; null: into runs."""
