"""Which states of a model are patched, one after another: a place in the text, a restoration, a layer."""

from dataclasses import dataclass

from unlearning.config import Corruption, ModuleKind, TraceConfig, TracedTokens
from unlearning.mediation.subject import Probe

DECIDING_GROUPS = ("subject", "last_subject", "last", "weights")
"""The site whose effects count is the fact's first of these: of a grid, the last token of the subject (ROME's early
site)."""


@dataclass(frozen=True, slots=True)
class Site:
    """Token positions that are patched together."""

    group: str
    """subject, or of ROME's six: first_subject, middle_subject, last_subject, first_after, further, last; or before;
    or weights, where weights are exchanged and no position is."""
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What is patched at a layer: the output of a kind of part, alone or in a window, some paths maybe severed."""

    kind: ModuleKind
    window: int = 1
    severed: ModuleKind | None = None
    """Parts that keep the unpatched run's output at the site, in every layer."""

    @property
    def label(self) -> str:
        """For tables and figures, such as "mlp", "mlp, window 10" or "layer, attention severed"."""
        window = f", window {self.window}" if self.window > 1 else ""
        severed = f", {self.severed} severed" if self.severed else ""
        return f"{self.kind}{window}{severed}"


@dataclass(frozen=True, slots=True)
class State:
    """One patch: at the site's positions, `modules` of the restoration's kind give the other run's outputs."""

    restoration: Restoration
    layer: int
    site: Site
    modules: range
    """Layers whose part is patched: a window around `layer`."""


def restorations_of(config: TraceConfig) -> tuple[Restoration, ...]:
    """By kind: single modules always, then the window; then the layer's output with each path severed."""
    found = []
    for kind in dict.fromkeys(config.kinds):
        found.append(Restoration(kind))
        if config.window > 1 and kind is not ModuleKind.layer:
            found.append(Restoration(kind, config.window))
    return (*found, *(Restoration(ModuleKind.layer, severed=kind) for kind in dict.fromkeys(config.severed)))


def deciding_restoration(config: TraceConfig) -> Restoration:
    """The one whose effects choose the layers."""
    return Restoration(config.select, 1 if config.select is ModuleKind.layer else config.window)


def sites_of(probe: Probe, config: TraceConfig) -> tuple[Site, ...]:
    """The places to patch in a fact's prompt.

    The grid begins at the subject: nothing before it differs between the runs of one model, so its effect is none.
    Two models differ from the first token on. It ends with the prompt's last token, which predicts the answer's first.
    """
    tokens = config.tokens
    last_subject = Site("last_subject", (probe.subject[-1],))
    last = Site("last", (probe.answer_start - 1,))
    if tokens is TracedTokens.subject:
        return (Site("subject", tuple(probe.subject)),)
    if tokens is TracedTokens.last_subject:
        return (last_subject,)
    if tokens is TracedTokens.last:
        return (last,)
    if tokens is TracedTokens.two_rows:
        return (last_subject, last)
    first = 0 if config.corruption is Corruption.base_model else probe.subject[0]
    positions = range(first, probe.answer_start)
    return tuple(Site(_group(probe, position), (position,)) for position in positions)


def deciding_site(sites: tuple[Site, ...]) -> int:
    """Index of the site whose effects count (see `DECIDING_GROUPS`)."""
    groups = [site.group for site in sites]
    return next(groups.index(group) for group in DECIDING_GROUPS if group in groups)


def window_of(layer: int, width: int, depth: int) -> range:
    """`width` neighbouring layers around `layer`, fewer at both ends of the model.

    From layer - floor(width / 2) to layer + ceil(width / 2) - 1, as in ROME's trace_important_window.
    """
    return range(max(0, layer - width // 2), min(depth, layer + (width + 1) // 2))


def states_of(sites: tuple[Site, ...], restorations: tuple[Restoration, ...], depth: int) -> list[State]:
    """Every state, by restoration, layer and site. A layer's output is patched alone: it carries all below it."""
    return [
        State(restoration, layer, site, window_of(layer, restoration.window, depth))
        for restoration in restorations
        for layer in range(depth)
        for site in sites
    ]


def _group(probe: Probe, position: int) -> str:
    """The ROME group of a position; the last token of the subject, or of the prompt, is always called so."""
    first, last = probe.subject[0], probe.subject[-1]
    if position == last:
        return "last_subject"
    if position == probe.answer_start - 1:
        return "last"
    if position < first:
        return "before"
    if position < last:
        return "first_subject" if position == first else "middle_subject"
    return "first_after" if position == last + 1 else "further"
