"""A key-value cache with room to grow, and one that many batches begin with.

transformers' own copies every key and value of every row at each new token; on a CPU that took as long as the model.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

SPARE_TOKENS = 64


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """`DynamicLayer` that writes new states into spare slots; its keys and values are views (B, heads, T, d)."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.key_buffer: Tensor | None = None
        self.value_buffer: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append states (B, heads, new, d); the rest of the arguments is of no use to this kind of layer."""
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
        """Keep only these rows; the next update makes room anew."""
        super().batch_select_indices(indices)
        self.key_buffer = self.value_buffer = None

    def select_slots(self, order: Tensor) -> None:
        """Keep of each row only these slots (B, T), in this order; the next update makes room anew."""
        places = order[:, None, :, None].expand(-1, self.keys.shape[1], -1, -1)
        self.keys = self.keys.gather(2, places.expand(-1, -1, -1, self.keys.shape[3]))
        self.values = self.values.gather(2, places.expand(-1, -1, -1, self.values.shape[3]))
        self.key_buffer = self.value_buffer = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row; the next update makes room anew."""
        super().batch_repeat_interleave(repeats)
        self.key_buffer = self.value_buffer = None

    def begin(self, key_buffer: Tensor, value_buffer: Tensor, old: int) -> None:
        """Take these slots (B, heads, T, d), of which the first `old` are filled."""
        self.lazy_initialization(key_buffer, value_buffer)
        self.key_buffer, self.value_buffer = key_buffer, value_buffer
        self.keys, self.values = key_buffer[:, :, :old], value_buffer[:, :, :old]


def _grown_buffer(states: Tensor, like: Tensor, old: int, new: int) -> Tensor:
    rows, heads, _, width = like.shape
    slots = like.new_empty(rows, heads, new + SPARE_TOKENS, width)
    if old:
        slots[:, :, :old] = states
    return slots


def new_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache for the model; layers of other kinds (sliding windows) stay as transformers makes them."""
    cache = DynamicCache(config=model.config)
    cache.layers = [PreallocatedLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class SharedPrefix:
    """Tokens that go through the model once, and that batches of up to so many rows and further tokens begin with.

    Full-attention layers hold one copy for each row, which all batches write behind; of sliding windows, which forget
    what is at their beginning, each batch gets a copy.
    """

    def __init__(self, model: PreTrainedModel, tokens: Sequence[int], rows: int, room: int) -> None:
        self.model = model
        self.length = len(tokens)
        self.layers: list[CacheLayerMixin] = []
        self.slots: list[tuple[Tensor, Tensor] | None] = []
        if tokens:
            cache = new_cache(model)
            ids = torch.tensor([list(tokens)], device=model.device)
            model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self.layers = cache.layers
            self.slots = [
                (_repeated_buffer(layer.keys, rows, room), _repeated_buffer(layer.values, rows, room))
                if type(layer) is PreallocatedLayer
                else None
                for layer in self.layers
            ]

    def cache_for(self, rows: int) -> DynamicCache:
        """A cache of so many rows that hold the prefix; the one given before is void."""
        cache = new_cache(self.model)
        for place, (layer, slots) in enumerate(zip(self.layers, self.slots, strict=True)):
            if slots is None:
                cache.layers[place] = deepcopy(layer)
                cache.layers[place].batch_repeat_interleave(rows)
            else:
                cache.layers[place].begin(slots[0][:rows], slots[1][:rows], self.length)
        return cache


def _repeated_buffer(states: Tensor, rows: int, room: int) -> Tensor:
    """(1, heads, T, d) as the first slots of so many rows."""
    _, heads, old, width = states.shape
    slots = states.new_empty(rows, heads, old + room, width)
    slots[:, :, :old] = states
    return slots
