"""A forget ceiling that follows the loss of text which was never learnt.

A membership test tells members from unseen text where their losses differ, on either side. Which ceiling makes them
equal depends on the model, its seed and how much was memorised, and unlearning moves the loss of unseen text too. So
checks measure both, and the ceiling becomes

    c' = max(0, min(U + min(c - F, LEAD), U_0 + LEAD)),

where U is the mean loss of unseen rows, U_0 what it was before training, F that of the forget rows of their tasks and
kinds, and c the ceiling so far, in nats a token. Where forget rows stay d below their ceiling, because a mean of tokens
that each stop there is below it, the ceiling goes to U + d, and they come to U. Where they lie d above it, because
tokens carry one another on, it goes to U - d. In the first steps they are far below it without having settled, so that
a ceiling leads by LEAD at most. It never stands higher than LEAD above U_0: what unlearning does to other text would
push it on, and with it that text.
"""

from collections.abc import Sequence
from dataclasses import replace

from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.training.checker import Checker, rows_to_check
from unlearning.training.module import UnlearningModule
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.stopping_rules import Check
from unlearning.training.task import ComparedRows

LEAD = 0.5
"""How far a ceiling may stand above the loss of unseen rows, in nats a token."""


def moved_ceiling(ceiling: float, forget: float, unseen: float, unseen_before: float) -> float:
    """Return c' of the module's docstring; all in nats a token."""
    return max(0.0, min(unseen + min(ceiling - forget, LEAD), unseen_before + LEAD))


class MovingCeiling:
    """Moves an objective's ceiling at each check."""

    def __init__(self, rows: ComparedRows, layout: StepLayout, config: StoppingConfig) -> None:
        """`layout` is that of the training steps, `config` that of the checks."""
        # Unseen rows take the retain rows' place: a checker measures two sets.
        pair = TrainingRows(forget=tuple(rows.alike), refusals=(), retain=tuple(rows.unseen))
        config = replace(config, best_by=BestBy.constrained, check_part_rows=None)
        checked = rows_to_check(len(pair.forget), len(pair.retain), config)
        # Prefixes and references exist for the rows of the training steps alone.
        layout = replace(layout, prefix_rows=frozenset(), uses_forget=True, uses_retain=True)
        self._checker = Checker(checked, pair, None, layout, config)

    def move(self, module: UnlearningModule, check: Check, earlier: Sequence[Check]) -> Check:
        """Move the ceiling of the module's objective, and return the check with what was measured for it.

        `earlier` are the checks so far; the first one was before training.
        """
        found = self._checker.check(module, check.step, in_first_epoch=False, observe=False)
        forget, unseen, now = found.forget_loss_nats, found.retain_loss_nats, module.objective.forget_ceiling_nats
        assert forget is not None
        assert unseen is not None
        before = unseen if not earlier else earlier[0].unseen_loss_nats
        assert before is not None
        # Without a ceiling so far, nothing says where rows would settle under it.
        moved = moved_ceiling(forget if now is None else now, forget, unseen, before)
        module.objective.forget_ceiling_nats = moved
        return replace(check, unseen_loss_nats=unseen, alike_loss_nats=forget, ceiling_nats=moved)

    def restore(self, module: UnlearningModule, check: Check) -> None:
        """Put back the ceiling that stood after the last check."""
        module.objective.forget_ceiling_nats = check.ceiling_nats
