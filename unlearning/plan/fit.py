"""Whether a run fits the memory of this machine, and which changes would make it fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from transformers import PreTrainedModel

from unlearning.config.commands import UnlearnConfig
from unlearning.config.scope import LoraScopeConfig
from unlearning.errors import InputError
from unlearning.plan.machine import Machine
from unlearning.plan.memory import GIB
from unlearning.plan.run_plan import RunPlan, held_by, plan_run
from unlearning.training.planned_training import PlannedTraining
from unlearning.training.trainer import resolve_precision

CLOSE = 0.25
"""Share of the memory below which activations need not be counted: they are hardly three times all the rest."""


def _recomputed(config: UnlearnConfig) -> UnlearnConfig:
    return replace(config, trainer=replace(config.trainer, gradient_checkpointing=True))


def _in_bfloat16(config: UnlearnConfig) -> UnlearnConfig:
    return replace(config, trainer=replace(config.trainer, precision="bf16-true"))


def _adapters(config: UnlearnConfig) -> UnlearnConfig:
    return replace(config, scope=LoraScopeConfig())


CHANGES: dict[str, Callable[[UnlearnConfig], UnlearnConfig]] = {
    "trainer.gradient_checkpointing=true": _recomputed,
    "trainer.precision=bf16-true": _in_bfloat16,
    "scope=lora": _adapters,
}
"""What makes a run smaller, exact changes before others, as overrides and as they change the settings."""


@dataclass(frozen=True)
class MemoryFit:
    """Compares the plan of a run with the memory of a machine; see `plan_run` for what it needs."""

    config: UnlearnConfig
    planned: PlannedTraining
    skeleton: PreTrainedModel
    pad: int
    layers: Sequence[int] | None
    machine: Machine

    def plan(self, config: UnlearnConfig, with_activations: bool = True) -> RunPlan:
        """Return the plan of the run with these settings."""
        rest = (self.planned, self.skeleton, self.pad, self.layers, self.machine)
        return plan_run(config, *rest, with_activations)

    @cached_property
    def least(self) -> RunPlan:
        """The plan without activations, which is made at once."""
        return self.plan(self.config, with_activations=False)

    @cached_property
    def whole(self) -> RunPlan:
        """The plan with all its parts."""
        return self.plan(self.config)

    def line(self) -> str | None:
        """Return one line where the run does not fit, or hardly, with what would make it fit; None where it fits.

        Raises InputError, with the same line, where weights, gradients and moments alone take more than there is.
        """
        there = self.machine.device_bytes
        if self.least.peak_bytes < CLOSE * there:
            return None
        plan = self.whole
        if plan.memory.certain - self._dropped(plan) > there + self.machine.swap_bytes and not plan.all_layers:
            raise InputError(self._said(plan, plan.memory.certain, "weights, gradients and moments alone take"))
        if plan.peak_bytes > there:
            return f"warning: {self._said(plan, plan.peak_bytes, 'the run takes about')}"
        return None

    def _dropped(self, plan: RunPlan) -> float:
        """Return the bytes of frozen weights on a CPU: pages of their file, which the system can drop."""
        if self.machine.kind != "cpu":
            return 0.0
        return float(held_by(self.config, self.machine).itemsize * (plan.counts.total - plan.counts.trained))

    def _said(self, plan: RunPlan, taken: float, what: str) -> str:
        counts, precision = plan.counts, resolve_precision(self.config.trainer)
        held = f"{counts.trained:,} of {counts.total:,} weights trained in {precision}"
        there = f"{self.machine.device_bytes / GIB:.3g} GiB of a {self.machine.kind} device"
        advised = self.advice()
        remedy = f"; set {' '.join(advised)}" if advised else ""
        return f"memory: {what} {taken / GIB:.3g} GiB ({held}), and there are {there}{remedy}"

    def advice(self) -> tuple[str, ...]:
        """Return the fewest overrides, one or two, with which the run fits; empty where there are none."""
        for count in (1, 2):
            for chosen in combinations(CHANGES, count):
                changed = self.config
                for word in chosen:
                    changed = CHANGES[word](changed)
                if self._fits(changed):
                    return chosen
        return ()

    def _fits(self, config: UnlearnConfig) -> bool:
        there = self.machine.device_bytes
        try:
            # Counting activations takes seconds, and what does not fit without them needs no count.
            least = self.plan(config, with_activations=False).peak_bytes
            return least <= there and self.plan(config).peak_bytes <= there
        except InputError:
            # An objective may not go with the scope.
            return False
