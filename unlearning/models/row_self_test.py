"""A test, on a loaded model itself, whether rows that are computed together are as rows alone.

It runs a few short rows of random tokens, so it takes no longer than one step of training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from unlearning.models.cache_name import CACHE_NAME

ROWS = (9, 6, 4)
"""Tokens of each row; the longest comes first, so that the others stand behind it in the pack."""
PREFIX_TOKENS = 3
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
HALF_PRECISION_TOLERANCE = 0.05
"""Differences of logits, as a share of the largest one: above what rounding does, and below what other rows do."""


@dataclass(frozen=True)
class SelfTest:
    """The largest differences from the logits of rows alone, each as a share of the largest logit."""

    tolerance: float
    batched: float | None
    """Rows below one another, padded on the right; None: it fails."""
    packed: float | None
    """Rows behind one another, with positions that restart; None: it fails, or was not tried."""
    branched: float | None
    """Rows that continue copies of one cached prefix; None: it fails, or was not tried."""

    def within(self, difference: float | None) -> bool:
        """Return whether a difference is no larger than rounding makes it."""
        return difference is not None and difference <= self.tolerance

    def measured(self) -> str:
        """Return the three differences and the tolerance in words."""
        found = {"in a batch": self.batched, "in a pack": self.packed, "from a cache": self.branched}
        words = [f"{way} {'-' if value is None else format(value, '.1g')}" for way, value in found.items()]
        return f"logits of rows {', '.join(words)} off those of rows alone ({self.tolerance:g} of the largest allowed)"


def self_test(model: PreTrainedModel, keeps_state: bool) -> SelfTest:
    """Return what the model makes of three rows together; with `keeps_state`, packs and caches are not tried."""
    vocabulary = model.config.get_text_config().vocab_size
    drawn = torch.randint(vocabulary, (sum(ROWS),), generator=torch.Generator().manual_seed(0)).to(model.device)
    rows = torch.split(drawn, list(ROWS))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            alone = [model(input_ids=row[None], use_cache=False).logits[0] for row in rows]
            ways = (_batched, None, None) if keeps_state else (_batched, _packed, _branched)
            found = [None if way is None else _difference(way, model, rows, alone) for way in ways]
    finally:
        model.train(training)
    return SelfTest(TOLERANCE.get(model.dtype, HALF_PRECISION_TOLERANCE), *found)


Way = Callable[[PreTrainedModel, Sequence[Tensor]], list[Tensor]]
"""A function from rows (T,) to the logits (T or fewer, V) of each row's last tokens."""


def _difference(way: Way, model: PreTrainedModel, rows: Sequence[Tensor], alone: Sequence[Tensor]) -> float | None:
    """Return the largest difference from the logits alone, as a share of their largest; None where the way fails."""
    try:
        together = way(model, rows)
    except torch.OutOfMemoryError:
        raise  # says nothing of the architecture
    except (RuntimeError, LookupError, TypeError, AttributeError, ValueError):
        return None
    largest = max(float(logits.abs().max()) for logits in alone)
    pairs = zip(together, alone, strict=True)
    apart = max(float((found - wanted[-len(found) :]).abs().max()) for found, wanted in pairs)
    return apart / largest if apart == apart and largest > 0 else None


def _batched(model: PreTrainedModel, rows: Sequence[Tensor]) -> list[Tensor]:
    ids = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    logits = model(input_ids=ids, use_cache=False).logits
    return [own[: len(row)] for own, row in zip(logits, rows, strict=True)]


def _packed(model: PreTrainedModel, rows: Sequence[Tensor]) -> list[Tensor]:
    positions = torch.cat([torch.arange(len(row), device=row.device) for row in rows])
    logits = model(input_ids=torch.cat(list(rows))[None], position_ids=positions[None], use_cache=False).logits[0]
    return list(torch.split(logits, [len(row) for row in rows]))


def _branched(model: PreTrainedModel, rows: Sequence[Tensor]) -> list[Tensor]:
    """Return the logits of the first row's tokens after a prefix, from one of several copies of the cached prefix."""
    cache = DynamicCache(config=model.config)
    first = rows[0][None]
    model(input_ids=first[:, :PREFIX_TOKENS], use_cache=True, **{CACHE_NAME: cache})
    cache.batch_select_indices(torch.zeros(2, dtype=torch.long, device=first.device))
    ids = first[:, PREFIX_TOKENS:].repeat(2, 1)
    ids[1] = ids[1].flip(0)
    own = model(input_ids=ids, use_cache=True, **{CACHE_NAME: cache}).logits[0]
    return [own, *(model(input_ids=row[None], use_cache=False).logits[0] for row in rows[1:])]
