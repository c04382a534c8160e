"""Which weights may move."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import above, at_least, some_of, within


class ModuleKind(StrEnum):
    """Parts of a layer that may move."""

    mlp = "mlp"
    attention = "attention"
    layer = "layer"
    """The whole layer, its norms included."""


@dataclass
class ScopeConfig:
    """Base of all scopes: which parameters may move."""

    _target_: str = MISSING


@dataclass
class AllScopeConfig(ScopeConfig):
    """Every parameter."""

    _target_: str = "unlearning.scopes.layers.AllScope"


@dataclass
class LayersScopeConfig(ScopeConfig):
    """The named parts of the named layers, or everything but them."""

    _target_: str = "unlearning.scopes.layers.LayersScope"
    layers: str = MISSING
    """Layers counted from 0: "0-5", "0,2,4", "-8:" for the last eight, or "all"."""
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])
    embeddings: bool = False
    """Whether the input embeddings are named too."""
    head: bool = False
    """Whether the final norm and the output projection are named too."""
    complement: bool = False
    """False: what is named moves and everything else is frozen. True: it is frozen and everything else moves."""


@dataclass
class TracedScopeConfig(ScopeConfig):
    """The layers that causal mediation analysis chose."""

    _target_: str = "unlearning.scopes.traced.TracedScope"
    layers_file: str | None = None
    """A layers.json of an earlier trace; null: the run traces first and uses its own."""
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])


@dataclass
class LoraScopeConfig(ScopeConfig):
    """Low-rank adapters (PEFT) on linear modules of the named layers."""

    _target_: str = "unlearning.scopes.adapters.LoraScope"
    rank: int = at_least(1, 16)
    """Columns of the two matrices whose product is added to a weight matrix."""
    alpha: float = above(0, 64.0)
    """Scale of that product, times the rank: it is multiplied by alpha / rank."""
    dropout: float = within("[0, 1)", 0.0)
    """Share of an adapter's inputs that are set to 0 while it is trained."""
    targets: list[str] = some_of(("q", "k", "v", "o", "gate", "up", "down"), ["q", "v", "up", "down"])
    """The linear modules with an adapter, whatever the architecture calls them; a fused module counts for each part."""
    layers: str = "all"
    """Layers with adapters, as in scope=layers."""
    dora: bool = False
    """Whether adapters are weight-decomposed (arXiv 2402.09353)."""
    rslora: bool = False
    """Whether the scale is alpha / sqrt(rank) in place of alpha / rank (arXiv 2312.03732)."""
