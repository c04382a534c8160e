"""A key-value cache that allocates memory ahead of time, and a prefix that many batches share.

The cache of transformers copies every key and value of every row at each new token. On a CPU that took as long as the
model itself.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from unlearning.models.cache_name import CACHE_NAME

SPARE_TOKENS = 64
"""Free slots behind the last token of a buffer that has just been allocated."""


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """A `DynamicLayer` that writes new states into buffers with spare slots.

    Its keys and values are views (B, heads, T, d) of the filled part of these buffers.
    """

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.key_buffer: Tensor | None = None
        self.value_buffer: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append states (B, heads, new, d) and return all keys and values; other arguments are ignored."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        old: int = self.get_seq_length()
        new = old + key_states.shape[2]
        if self.key_buffer is None or self.value_buffer is None or new > self.key_buffer.shape[2]:
            self.key_buffer = _grown_buffer(self.keys, key_states, old, new)
            self.value_buffer = _grown_buffer(self.values, value_states, old, new)
        self.key_buffer[:, :, old:new] = key_states
        self.value_buffer[:, :, old:new] = value_states
        self.keys = self.key_buffer[:, :, :new]
        self.values = self.value_buffer[:, :, :new]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows; the next update allocates new buffers."""
        super().batch_select_indices(indices)
        self.key_buffer = self.value_buffer = None

    def select_slots(self, order: Tensor) -> None:
        """Keep only these slots (B, T) of each row, in this order; the next update allocates new buffers."""
        places = order[:, None, :, None].expand(-1, self.keys.shape[1], -1, -1)
        self.keys = self.keys.gather(2, places.expand(-1, -1, -1, self.keys.shape[3]))
        self.values = self.values.gather(2, places.expand(-1, -1, -1, self.values.shape[3]))
        self.key_buffer = self.value_buffer = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row; the next update allocates new buffers."""
        super().batch_repeat_interleave(repeats)
        self.key_buffer = self.value_buffer = None

    def set_buffers(self, key_buffer: Tensor, value_buffer: Tensor, old: int) -> None:
        """Take these buffers (B, heads, T, d), whose first `old` slots are filled."""
        self.lazy_initialization(key_buffer, value_buffer)
        self.key_buffer, self.value_buffer = key_buffer, value_buffer
        self.keys, self.values = key_buffer[:, :, :old], value_buffer[:, :, :old]


def _grown_buffer(states: Tensor, like: Tensor, old: int, new: int) -> Tensor:
    """Return a buffer for `new` tokens and SPARE_TOKENS more, which begins with the `old` states there are."""
    rows, heads, _, width = like.shape
    buffer = like.new_empty(rows, heads, new + SPARE_TOKENS, width)
    if old:
        buffer[:, :, :old] = states
    return buffer


def new_cache(model: PreTrainedModel, slots: int | None = None) -> DynamicCache:
    """Return an empty cache for the model, whose rows take at most so many slots; None: nobody knows how many.

    A window that is not shorter hides none of the slots, so its layer is like one with full attention. Layers of other
    kinds, and shorter windows, are those of transformers.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [PreallocatedLayer() if _keeps_all(layer, slots) else layer for layer in cache.layers]
    return cache


def _keeps_all(layer: CacheLayerMixin, slots: int | None) -> bool:
    """Return whether a layer of transformers' cache would keep so many slots, and all of them are seen."""
    if type(layer) is DynamicSlidingWindowLayer:
        return slots is not None and slots <= layer.sliding_window
    return type(layer) is DynamicLayer


class SharedPrefix:
    """A prefix of tokens that goes through the model once and is shared by batches of up to `rows` rows.

    `room` is the most tokens that a row has after the prefix. In layers with full attention each row has one buffer,
    and all batches write behind the prefix. A sliding window that is shorter than a row loses what is at its beginning,
    so each batch gets a copy of it.
    """

    def __init__(self, model: PreTrainedModel, tokens: Sequence[int], rows: int, room: int) -> None:
        self.model = model
        self.length = len(tokens)
        self.slots = len(tokens) + room
        self.layers: list[CacheLayerMixin] = []
        self.buffers: list[tuple[Tensor, Tensor] | None] = []
        if tokens:
            cache = new_cache(model, self.slots)
            ids = torch.tensor([list(tokens)], device=model.device)
            model(input_ids=ids, use_cache=True, logits_to_keep=1, **{CACHE_NAME: cache})
            self.layers = cache.layers
            self.buffers = [
                (_repeated_buffer(layer.keys, rows, room), _repeated_buffer(layer.values, rows, room))
                if type(layer) is PreallocatedLayer
                else None
                for layer in self.layers
            ]

    def cache_for(self, rows: int) -> DynamicCache:
        """Return a cache of so many rows that hold the prefix; the cache returned before must no longer be used."""
        cache = new_cache(self.model, self.slots)
        for place, (layer, buffers) in enumerate(zip(self.layers, self.buffers, strict=True)):
            if buffers is None:
                cache.layers[place] = deepcopy(layer)
                cache.layers[place].batch_repeat_interleave(rows)
            else:
                cache.layers[place].set_buffers(buffers[0][:rows], buffers[1][:rows], self.length)
        return cache


def _repeated_buffer(states: Tensor, rows: int, room: int) -> Tensor:
    """Return a buffer (rows, heads, T + room, d) whose rows all begin with the states (1, heads, T, d)."""
    _, heads, old, width = states.shape
    buffer = states.new_empty(rows, heads, old + room, width)
    buffer[:, :, :old] = states
    return buffer
