"""What every objective shares: how what the model says of rows becomes a step's loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.config import Answers, Averaging, Divergence, Reduction
from unlearning.objectives.divergences import cross_entropy, divergence
from unlearning.objectives.rows import Reference, ReferenceKind, Rows


@dataclass(frozen=True)
class SetSize:
    """Size of a set's share of one step, over all devices."""

    rows: int
    tokens: int
    """Supervised tokens."""


@dataclass
class Objective(ABC):
    r"""Base of all objectives.

    A step's loss is

        L = w_f * sum_i u_i F_i / D_f  +  w_r * sum_j u_j R_j / D_r

    over forget rows i and retain rows j, where

    - F_i is what the objective makes of a forget row (`forget_terms`), from one value a token (`forget_values`, by
      default its cross-entropy in nats);
    - R_j is the row's mean over tokens of retain_weight * CE + divergence_weight * D(reference, model), with D of the
      name `divergence`, between the model before unlearning and the model now (`divergences`);
    - reduction ROW: u = 1 and D the number of rows; TOKEN: u the row's supervised tokens and D their sum;
    - averaging EACH_SET: D over its own set; WHOLE_BATCH: D over both sets together;
    - a forget row whose token-mean cross-entropy is above forget_ceiling_nats has no gradient.

    Everything is masked to supervised positions. A subclass says at least what F is.
    """

    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None
    retain_weight: float = 1.0
    divergence: Divergence = Divergence.kl
    divergence_weight: float = 0.0
    renyi_order: float = 0.5
    reference_top_k: int | None = None

    @property
    def retain_first(self) -> bool:
        """Whether `weights` needs the retain loss of the same step, so that retain rows must go first."""
        return False

    @property
    def uses_forget(self) -> bool:
        """Whether forget rows enter the loss at all."""
        return True

    @property
    def uses_retain(self) -> bool:
        """Whether retain rows enter the loss at all."""
        return self.retain_weight > 0 or self.divergence_weight > 0

    @property
    def forget_answers(self) -> Answers:
        """Which answers stand in the forget rows."""
        return Answers.own

    @property
    def layer(self) -> int | None:
        """The layer whose output the values are made of, counted from 0; None: the model's logits."""
        return None

    @property
    def forget_reference(self) -> ReferenceKind:
        """What of the model before unlearning the forget rows are compared with."""
        return ReferenceKind.none

    @property
    def retain_reference(self) -> ReferenceKind:
        """What of the model before unlearning the retain rows are compared with."""
        return ReferenceKind.outputs if self.divergence_weight > 0 else ReferenceKind.none

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """(n,) one value a position, from logits (n, V), or hidden states (n, width) where `layer` is set."""
        return cross_entropy(outputs, targets)

    def retain_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:
        """(n,) one value a position; a retain row's term is their mean."""
        values = torch.zeros_like(outputs[:, 0])
        if self.retain_weight > 0:
            values = values + self.retain_weight * cross_entropy(outputs, targets)
        if self.divergence_weight > 0:
            apart = divergence(self.divergence, outputs, reference, self.renyi_order)
            values = values + self.divergence_weight * apart
        return values

    def forget_values_and_nats(self, outputs: Tensor, targets: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """`forget_values`, and the cross-entropies without gradient (zero where a layer is looked at)."""
        values = self.forget_values(outputs, targets, reference)
        if type(self).forget_values is Objective.forget_values:
            return values, values.detach()
        return values, self._nats(outputs, targets)

    def retain_values_and_nats(self, outputs: Tensor, targets: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """`retain_values`, and the cross-entropies without gradient (zero where a layer is looked at)."""
        if type(self).retain_values is Objective.retain_values and not self.divergence_weight:
            nats = cross_entropy(outputs, targets)
            return self.retain_weight * nats, nats.detach()
        return self.retain_values(outputs, targets, reference), self._nats(outputs, targets)

    def _nats(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.layer is not None:
            return outputs.new_zeros(len(targets))
        return cross_entropy(outputs.detach(), targets)

    @abstractmethod
    def forget_terms(self, rows: Rows, others: Rows | None) -> Tensor:
        """F: (R,) terms to minimise.

        `others` are the same rows with other answers, where `forget_answers` asks for both, else None.
        """

    def retain_terms(self, rows: Rows) -> Tensor:
        """R: (R,) terms to minimise."""
        return rows.mean(rows.values)

    def bounded_forget_terms(self, rows: Rows, others: Rows | None) -> Tensor:
        """F, without gradient where a row is above the ceiling."""
        terms = self.forget_terms(rows, others)
        if self.forget_ceiling_nats is None:
            return terms
        return torch.where(rows.mean(rows.nats) > self.forget_ceiling_nats, terms.detach(), terms)

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """(w_f, w_r) of a step; `retain_loss_nats` is its mean cross-entropy, None without retain rows."""
        return 1.0, 1.0

    def observe(self, retain_loss_nats: float | None, retain_rows: int, in_first_epoch: bool) -> None:  # noqa: B027
        """Called once after each step's part, for objectives that learn from the losses; most do not."""

    def row_units(self, row_tokens: Tensor) -> Tensor:
        """u: (R,) supervised tokens to (R,) units of a row in its set's mean."""
        return row_tokens if self.reduction is Reduction.token else torch.ones_like(row_tokens)

    def denominators(self, forget: SetSize, retain: SetSize) -> tuple[float, float]:
        """(D_f, D_r), each at least 1 so that an empty set divides nothing."""
        sizes = [size.tokens if self.reduction is Reduction.token else size.rows for size in (forget, retain)]
        if self.averaging is Averaging.whole_batch:
            sizes = [sum(sizes)] * 2
        return float(max(sizes[0], 1)), float(max(sizes[1], 1))

    def state(self) -> dict[str, float]:
        """What must survive an interruption."""
        return {}

    def load_state(self, state: dict[str, float]) -> None:  # noqa: B027
        """Inverse of `state`; nothing to do without one."""
