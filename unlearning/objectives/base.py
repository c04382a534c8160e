"""What all objectives have in common: how the values of single tokens become the loss of a step."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unlearning.config.objective_choices import AboveCeiling, Answers, Averaging, CeilingUnit, Divergence, Reduction
from unlearning.objectives.divergences import cross_entropy, divergence
from unlearning.objectives.rows import Reference, ReferenceKind, Rows


@dataclass(frozen=True)
class SetSize:
    """The size of one set's share of a step, over all devices."""

    rows: int
    tokens: int
    """Number of supervised tokens."""


@dataclass
class Objective:
    r"""Base class of all objectives.

    The loss of a step is

        L = w_f * sum_i u_i F_i / D_f  +  w_r * sum_j u_j R_j / D_r

    over forget rows i and retain rows j, where

    - F_i is the forget term of row i (`forget_terms`): by default the mean over its tokens of one value a token
      (`forget_values`), which is by default the token's cross-entropy in nats;
    - R_j is the retain term of row j (`retain_terms`): the mean over its tokens of
      retain_weight * CE + divergence_weight * D(p, q), where D is the divergence of the name `divergence` (see
      `divergences`), p the distribution of the model before unlearning and q that of the model now;
    - w_f and w_r are the weights of the step (`weights`), by default 1;
    - reduction=ROW: u is 1 and D the number of rows; TOKEN: u is the row's number of supervised tokens and D their sum;
    - averaging=EACH_SET: D_f and D_r each count their own set; WHOLE_BATCH: both count both sets together;
    - ceiling_unit=ROW: a forget row whose mean cross-entropy over its tokens is above forget_ceiling_nats has no
      gradient (above_ceiling=STOP), or that of -F_i (TURN); TOKEN: the same for the value of each token whose
      cross-entropy is above it, before F_i is made of the values;
    - ceiling_follows_unseen: training moves forget_ceiling_nats (see `training.moving_ceiling`).

    Only supervised tokens enter. A subclass says at least what F is.
    """

    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None
    ceiling_unit: CeilingUnit = CeilingUnit.row
    above_ceiling: AboveCeiling = AboveCeiling.stop
    ceiling_follows_unseen: bool = False
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
        """Which answers the forget rows have."""
        return Answers.own

    @property
    def layer(self) -> int | None:
        """The layer whose output the values are computed from, counted from 0; None: from the model's logits."""
        return None

    @property
    def forget_reference(self) -> ReferenceKind:
        """What the forget rows need of the model before unlearning."""
        return ReferenceKind.none

    @property
    def retain_reference(self) -> ReferenceKind:
        """What the retain rows need of the model before unlearning."""
        return ReferenceKind.outputs if self.divergence_weight > 0 else ReferenceKind.none

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) one value a token of forget rows.

        `outputs` are logits (n, V), or hidden states (n, width) where `layer` is set; `targets` are (n,) token ids.
        """
        return cross_entropy(outputs, targets)

    def retain_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:
        """Return (n,) one value a token of retain rows, from the same tensors as `forget_values`."""
        values = torch.zeros_like(outputs[:, 0])
        if self.retain_weight > 0:
            values = values + self.retain_weight * cross_entropy(outputs, targets)
        if self.divergence_weight > 0:
            apart = divergence(self.divergence, outputs, reference, self.renyi_order)
            values = values + self.divergence_weight * apart
        return values

    def forget_values_and_nats(self, outputs: Tensor, targets: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Return `forget_values` and the cross-entropies without gradient (zeros where `layer` is set), each (n,)."""
        values = self.forget_values(outputs, targets, reference)
        if type(self).forget_values is Objective.forget_values:
            return values, values.detach()
        return values, self._nats(outputs, targets)

    def retain_values_and_nats(self, outputs: Tensor, targets: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Return `retain_values` and the cross-entropies without gradient (zeros where `layer` is set), each (n,)."""
        if type(self).retain_values is Objective.retain_values and not self.divergence_weight:
            nats = cross_entropy(outputs, targets)
            return self.retain_weight * nats, nats.detach()
        return self.retain_values(outputs, targets, reference), self._nats(outputs, targets)

    def _nats(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.layer is not None:
            return outputs.new_zeros(len(targets))
        return cross_entropy(outputs.detach(), targets)

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return F: (R,) one term a forget row, to be minimised; by default the mean of its values.

        `refusals` are the same rows with a refusal as their answer, where `forget_answers` asks for both; else None.
        """
        return rows.mean(rows.values)

    def retain_terms(self, rows: Rows) -> Tensor:
        """Return R: (R,) one term a retain row, to be minimised."""
        return rows.mean(rows.values)

    def bounded_forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:
        """Return F, in which rows or tokens above the ceiling have no gradient, or the opposite one."""
        if self.ceiling_unit is CeilingUnit.token:
            return self.forget_terms(replace(rows, values=self._bounded(rows.values, rows.nats)), refusals)
        return self._bounded(self.forget_terms(rows, refusals), rows.mean(rows.nats))

    def _bounded(self, terms: Tensor, nats: Tensor) -> Tensor:
        if self.forget_ceiling_nats is None:
            return terms
        still = terms.detach()
        above = 2 * still - terms if self.above_ceiling is AboveCeiling.turn else still
        return torch.where(nats > self.forget_ceiling_nats, above, terms)

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """Return (w_f, w_r) of a step.

        `retain_loss_nats` is the mean cross-entropy of the step's retain rows, where `retain_first` asks for it and the
        step has retain rows; else None.
        """
        return 1.0, 1.0

    def observe(self, retain_loss_nats: float | None, retain_rows: int, in_first_epoch: bool) -> None:
        """Take note of a retain loss, once after each part of a step. Most objectives do nothing here."""

    def row_units(self, row_tokens: Tensor) -> Tensor:
        """Return u: (R,) the weight of each row in its set's mean, from (R,) numbers of supervised tokens."""
        return row_tokens if self.reduction is Reduction.token else torch.ones_like(row_tokens)

    def denominators(self, forget: SetSize, retain: SetSize) -> tuple[float, float]:
        """Return (D_f, D_r), each at least 1, so that an empty set causes no division by zero."""
        sizes = [size.tokens if self.reduction is Reduction.token else size.rows for size in (forget, retain)]
        if self.averaging is Averaging.whole_batch:
            sizes = [sum(sizes)] * 2
        return float(max(sizes[0], 1)), float(max(sizes[1], 1))

    def state(self) -> dict[str, float]:
        """Return the numbers that a checkpoint must keep."""
        return {}

    def load_state(self, state: dict[str, float]) -> None:
        """Put back what `state` returned. Most objectives have no state."""
