"""The learning rate of a step."""

from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.schedules.plan import PlanStep


def learning_rate(config: OptimizerConfig, step: PlanStep) -> float:
    """Return the learning rate of one step: linear warm-up, then constant, or linear to zero at the end of the phase.

    The linear decay is that of the Hugging Face Trainer.
    """
    lr = config.lr * step.lr_factor
    if step.phase_step < config.warmup_steps:
        return lr * step.phase_step / max(1, config.warmup_steps)
    if config.decay is Decay.constant:
        return lr
    left = (step.phase_steps - step.phase_step) / max(1, step.phase_steps - config.warmup_steps)
    return lr * max(0.0, left)
