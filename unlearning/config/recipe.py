"""How a model memorises."""

from dataclasses import dataclass, field

from unlearning.config.checks import at_least
from unlearning.config.objective_choices import Reduction
from unlearning.config.optimizer import OptimizerConfig


@dataclass
class RecipeConfig:
    """How a model memorises: cross-entropy on whole documents, all weights, rows shuffled every epoch.

    The defaults make the sandbox's models, whatever their architecture.
    """

    seed: int = 0
    """Seed of the first weights and of the rows' order; not the run's seed, so that the seeds of a sweep share one
    sandbox."""
    epochs: int = at_least(1, 32)
    """Passes over the rows."""
    batch_rows: int = at_least(1, 48)
    """Rows of an optimiser step."""
    reduction: Reduction = Reduction.token
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3, warmup_steps=50))
