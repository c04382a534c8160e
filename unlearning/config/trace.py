"""Causal mediation analysis."""

from dataclasses import dataclass, field
from enum import StrEnum

from unlearning.config.checks import require
from unlearning.config.scope import ModuleKind


class TracedTokens(StrEnum):
    """Which positions are restored."""

    subject = "subject"
    """All subject tokens at once."""
    last_subject = "last_subject"
    grid = "grid"
    """Every position on its own."""


class SelectionRule(StrEnum):
    """From indirect effects to blocks."""

    threshold = "threshold"
    """Effect at least `value` times the largest."""
    coverage = "coverage"
    """The smallest contiguous range with at least `value` of the summed positive effect."""
    top_share = "top_share"
    """The round(value * depth) blocks of largest effect."""
    first = "first"
    """Baseline: the first round(value * depth) blocks."""
    last = "last"
    random = "random"


@dataclass
class TraceConfig:
    """Causal mediation analysis (Meng et al. 2022): corrupt the subject, restore one state, measure the answer."""

    facts: int = 24
    """Facts traced, at most; facts the model does not know are left out and counted."""
    noise_std: float = 3.0
    """Noise in units of the standard deviation of the subject tokens' embeddings."""
    draws: int = 10
    """Noise draws a fact."""
    window: int = 1
    """Neighbouring modules restored together for kinds mlp and attention."""
    kinds: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.block, ModuleKind.mlp, ModuleKind.attention])
    tokens: TracedTokens = TracedTokens.subject
    select: ModuleKind = ModuleKind.mlp
    """Whose effects choose the blocks."""
    rule: SelectionRule = SelectionRule.coverage
    value: float = 0.6
    """The rule's number, a share in (0, 1]."""
    max_rows: int = 512
    """Sequences in one forward pass, at most."""
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.facts >= 1, "trace.facts", self.facts, "1 or more")
        require(self.noise_std > 0, "trace.noise_std", self.noise_std, "above 0")
        require(self.draws >= 1, "trace.draws", self.draws, "1 or more")
        require(self.window >= 1, "trace.window", self.window, "1 or more")
        require(bool(self.kinds), "trace.kinds", self.kinds, "some of block, mlp, attention")
        require(
            self.select in self.kinds,
            "trace.select",
            self.select,
            f"one of trace.kinds={list(map(str, self.kinds))}",
        )
        require(0 < self.value <= 1, "trace.value", self.value, "in (0, 1]")
        require(self.max_rows >= 2, "trace.max_rows", self.max_rows, "2 or more")
