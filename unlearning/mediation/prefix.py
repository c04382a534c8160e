"""Keys and values of the tokens before the first patched one: they are the same in every state, so read only."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

KeysValues = tuple[Tensor, Tensor]
"""Of one layer: each (rows, heads, tokens, width of a head)."""


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """A cache of transformers that hands every row the prefix of the row it is a copy of, and keeps nothing.

    `prefix` holds each layer's keys and values for the rows that the batch begins with; `origins[l]` says for each row
    that layer l will see, or more, which of those it continues. Sliding windows are the mask's business: all keys are
    kept.
    """

    def __init__(self, prefix: Sequence[KeysValues], origins: Sequence[Tensor]) -> None:
        super().__init__()
        self.layers = [_PrefixLayer(*own, rows) for own, rows in zip(prefix, origins, strict=True)]


class _PrefixLayer(DynamicLayer):  # type: ignore[misc]
    def __init__(self, keys: Tensor, values: Tensor, origins: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.origins = origins.to(keys.device)
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> KeysValues:
        """Prefix and new tokens, (rows, heads, tokens, width), for as many rows as there are now."""
        origins = self.origins[: len(key_states)]
        return (
            torch.cat([self.keys[origins], key_states], dim=-2),
            torch.cat([self.values[origins], value_states], dim=-2),
        )


def keys_and_values(cache: DynamicCache) -> list[KeysValues]:
    """What a finished pass left in its cache, layer by layer."""
    return [(layer.keys, layer.values) for layer in cache.layers]
