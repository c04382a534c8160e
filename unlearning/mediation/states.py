"""The states of a model that are patched, one after another.

A state is named by three things: the site (which tokens), the restoration (which kind of part) and the layer.
"""

from dataclasses import dataclass

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, TraceConfig, TracedTokens
from unlearning.mediation.encoded_fact import EncodedFact

DECIDING_GROUPS = ("subject", "last_subject", "last", "weights")
"""Names of the sites whose effects choose the layers: the first of these that a fact has. In a grid it is the last
token of the subject, where Meng et al. (ROME) found the early site."""


@dataclass(frozen=True, slots=True)
class Site:
    """Token positions that are patched together."""

    group: str
    """"subject"; or one of ROME's six, "first_subject", "middle_subject", "last_subject", "first_after", "further" and
    "last"; or "before"; or "weights", where weights are exchanged and there are no positions."""
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What is patched at a layer: the output of one kind of part, in this layer alone or in a window of layers.

    With `severed`, the parts of another kind are cut off from the patch, so that its effect travels without them.
    """

    kind: ModuleKind
    window: int = 1
    severed: ModuleKind | None = None
    """Kind of the parts that keep the unpatched run's output at the site, in every layer."""

    @property
    def label(self) -> str:
        """The name in tables and figures, such as "mlp", "mlp, window 10" or "layer, attention severed"."""
        window = f", window {self.window}" if self.window > 1 else ""
        severed = f", {self.severed} severed" if self.severed else ""
        return f"{self.kind}{window}{severed}"


@dataclass(frozen=True, slots=True)
class State:
    """What one patch replaces: the outputs of one kind of part, in one or more layers, at the site's positions."""

    restoration: Restoration
    layer: int
    site: Site
    patched_layers: range
    """The layers whose part is patched: `layer` and those around it."""


def restorations_of(config: TraceConfig) -> tuple[Restoration, ...]:
    """Return what is patched: of each kind single modules and then the window; last, layers with each path severed."""
    found = []
    for kind in dict.fromkeys(config.kinds):
        found.append(Restoration(kind))
        if config.window > 1 and kind is not ModuleKind.layer:
            found.append(Restoration(kind, config.window))
    return (*found, *(Restoration(ModuleKind.layer, severed=kind) for kind in dict.fromkeys(config.severed)))


def deciding_restoration(config: TraceConfig) -> Restoration:
    """Return the restoration whose effects choose the layers."""
    return Restoration(config.select, 1 if config.select is ModuleKind.layer else config.window)


def sites_of(fact: EncodedFact, config: TraceConfig) -> tuple[Site, ...]:
    """Return the sites to patch in a fact's prompt.

    The grid begins at the subject: nothing before it differs between the runs of one model, so that its effect is zero.
    The runs of two models differ from the first token on. The grid ends with the prompt's last token, which predicts
    the answer's first one.
    """
    tokens = config.tokens
    last_subject = Site("last_subject", (fact.subject[-1],))
    last = Site("last", (fact.answer_start - 1,))
    if tokens is TracedTokens.subject:
        return (Site("subject", tuple(fact.subject)),)
    if tokens is TracedTokens.last_subject:
        return (last_subject,)
    if tokens is TracedTokens.last:
        return (last,)
    if tokens is TracedTokens.two_rows:
        return (last_subject, last)
    first = 0 if config.corruption is Corruption.base_model else fact.subject[0]
    positions = range(first, fact.answer_start)
    return tuple(Site(_group(fact, position), (position,)) for position in positions)


def deciding_site(sites: tuple[Site, ...]) -> int:
    """Return the index of the site whose effects choose the layers (see `DECIDING_GROUPS`)."""
    groups = [site.group for site in sites]
    return next(groups.index(group) for group in DECIDING_GROUPS if group in groups)


def window_of(layer: int, width: int, depth: int) -> range:
    """Return the `width` neighbouring layers around `layer`; at both ends of the model they are fewer.

    They go from layer - floor(width / 2) to layer + ceil(width / 2) - 1, as in ROME's trace_important_window.
    """
    return range(max(0, layer - width // 2), min(depth, layer + (width + 1) // 2))


def states_of(sites: tuple[Site, ...], restorations: tuple[Restoration, ...], depth: int) -> list[State]:
    """Return every state, ordered by restoration, layer and site."""
    return [
        State(restoration, layer, site, window_of(layer, restoration.window, depth))
        for restoration in restorations
        for layer in range(depth)
        for site in sites
    ]


def _group(fact: EncodedFact, position: int) -> str:
    """Return the group of a position; the last token of the subject, or of the prompt, always has that name."""
    first, last = fact.subject[0], fact.subject[-1]
    if position == last:
        return "last_subject"
    if position == fact.answer_start - 1:
        return "last"
    if position < first:
        return "before"
    if position < last:
        return "first_subject" if position == first else "middle_subject"
    return "first_after" if position == last + 1 else "further"
