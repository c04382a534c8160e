"""Keys and values of the tokens before the first patched one.

They are the same in every state, so they are computed once and only read afterwards.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, each (rows, heads, tokens, width of a head)."""


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """A cache of transformers that gives every row the prefix of the row it is a copy of, and that never grows.

    `prefix` holds each layer's keys and values for the rows that the batch begins with. `origins[l]` says for each row
    that layer l will see which of those rows it continues; it may be longer than needed. A sliding window is applied by
    the attention mask, so all keys are kept.
    """

    def __init__(self, prefix: Sequence[KeysValues], origins: Sequence[Tensor]) -> None:
        super().__init__()
        self.layers = [_PrefixLayer(*own, rows) for own, rows in zip(prefix, origins, strict=True)]


class _PrefixLayer(DynamicLayer):  # type: ignore[misc]
    """The cached prefix of one layer."""

    def __init__(self, keys: Tensor, values: Tensor, origins: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.origins = origins.to(keys.device)
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> KeysValues:
        """Return prefix and new tokens together, (rows, heads, tokens, width), for as many rows as there are now."""
        origins = self.origins[: len(key_states)]
        return (
            torch.cat([self.keys[origins], key_states], dim=-2),
            torch.cat([self.values[origins], value_states], dim=-2),
        )


def keys_and_values(cache: DynamicCache) -> list[KeysValues]:
    """Return what a finished forward pass left in its cache, layer by layer."""
    return [(layer.keys, layer.values) for layer in cache.layers]
