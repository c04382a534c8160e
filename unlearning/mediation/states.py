"""Which states of a model are restored, one after another: a place in the text, a kind of part, a block."""

from dataclasses import dataclass

from unlearning.config import ModuleKind, TracedTokens
from unlearning.mediation.subject import Probe


@dataclass(frozen=True, slots=True)
class Site:
    """Token positions that are restored together."""

    group: str
    """subject, or of ROME's six: first_subject, middle_subject, last_subject, first_after, further, last."""
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """One restoration: at the site's positions, `modules` of `kind` give the outputs of the clean run."""

    kind: ModuleKind
    block: int
    site: int
    """Index into the fact's sites."""
    modules: range
    """Blocks whose part is restored: a window around `block`."""


def sites_of(probe: Probe, tokens: TracedTokens) -> tuple[Site, ...]:
    """The places to restore in a fact's prompt.

    The grid begins at the subject: nothing before it differs from the clean run, so its effect is none.
    It ends with the prompt's last token, which predicts the answer's first.
    """
    last = probe.subject[-1]
    if tokens is TracedTokens.subject:
        return (Site("subject", tuple(probe.subject)),)
    if tokens is TracedTokens.last_subject:
        return (Site("last_subject", (last,)),)
    positions = range(probe.subject[0], probe.answer_start)
    return tuple(Site(_group(probe, position), (position,)) for position in positions)


def window_of(block: int, width: int, depth: int) -> range:
    """`width` neighbouring blocks around `block`, fewer at both ends of the model.

    From block - floor(width / 2) to block + ceil(width / 2) - 1, as in ROME's trace_important_window.
    """
    return range(max(0, block - width // 2), min(depth, block + (width + 1) // 2))


def states_of(sites: tuple[Site, ...], kinds: tuple[ModuleKind, ...], depth: int, window: int) -> list[State]:
    """Every state, by kind, block and site. A block's output is restored alone: it carries all below it."""
    return [
        State(kind, block, site, window_of(block, 1 if kind is ModuleKind.block else window, depth))
        for kind in kinds
        for block in range(depth)
        for site in range(len(sites))
    ]


def _group(probe: Probe, position: int) -> str:
    """The ROME group of a position; the last token of the subject, or of the prompt, is always called so."""
    first, last = probe.subject[0], probe.subject[-1]
    if position == last:
        return "last_subject"
    if position == probe.answer_start - 1:
        return "last"
    if position < last:
        return "first_subject" if position == first else "middle_subject"
    return "first_after" if position == last + 1 else "further"
