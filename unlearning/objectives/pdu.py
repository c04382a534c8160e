"""Constrained entropic unlearning by a primal-dual method."""

from dataclasses import dataclass, field

from torch import Tensor

from unlearning.objectives.rows import Reference
from unlearning.objectives.weighted import Weighted


@dataclass
class PDU(Weighted):
    """L = forget_weight * F + dual * R, F = mean over tokens of (max_j z_j - mean_j z_j) ** 2 (arXiv 2506.05314).

    Entesari et al. 2025. z (n, V) are the logits: F makes them flat without a softmax. dual is the multiplier of the
    constraint that the retain loss is at most retain_loss_eps. It starts at dual_start, and after each part of a step
    it becomes max(0, dual + dual_step_size * (CE_retain - retain_loss_eps)), except during the first
    dual_warmup_epochs epochs. An epoch is as many parts as the first epoch of the run has; with a chunked schedule that
    is the first epoch of the first chunk.
    """

    dual_start: float = 100.0
    dual_step_size: float = 5.0
    dual_warmup_epochs: int = 5
    retain_loss_eps: float = 0.3
    _dual: float = field(default=0.0, init=False)
    _parts: int = field(default=0, init=False)
    _first_epoch_parts: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._dual = self.dual_start

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) (max_j z_j - mean_j z_j) ** 2 of each token, from logits (n, V)."""
        return (outputs.amax(-1) - outputs.mean(-1)) ** 2

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """Return (forget_weight, dual)."""
        return self.forget_weight, self._dual

    def observe(self, retain_loss_nats: float | None, retain_rows: int, in_first_epoch: bool) -> None:  # noqa: ARG002
        """After the warm-up, move the dual variable by the retain loss above its bound."""
        self._parts += 1
        if in_first_epoch:
            self._first_epoch_parts += 1
        is_warm = self._parts > self.dual_warmup_epochs * self._first_epoch_parts
        if is_warm and retain_loss_nats is not None:
            excess = retain_loss_nats - self.retain_loss_eps
            self._dual = max(0.0, self._dual + self.dual_step_size * excess)

    def state(self) -> dict[str, float]:
        """Return the dual variable, and the counts that the warm-up depends on."""
        counts = {"parts": float(self._parts), "first_epoch_parts": float(self._first_epoch_parts)}
        return {"dual": self._dual, **counts}

    def load_state(self, state: dict[str, float]) -> None:
        """Put back what `state` returned."""
        self._dual = state["dual"]
        self._parts, self._first_epoch_parts = int(state["parts"]), int(state["first_epoch_parts"])
