"""A key-value cache with room to grow.

transformers' own copies every key and value of every row at each new token; on a CPU that took as long as the model.
"""

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

ROOM_TOKENS = 64


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """`DynamicLayer` that writes new states into spare slots; its keys and values are views (B, heads, T, d)."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.key_slots: Tensor | None = None
        self.value_slots: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append states (B, heads, new, d); the rest of the arguments is of no use to this kind of layer."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        old: int = self.get_seq_length()
        new = old + key_states.shape[2]
        if self.key_slots is None or self.value_slots is None or new > self.key_slots.shape[2]:
            self.key_slots = _with_room(self.keys, key_states, old, new)
            self.value_slots = _with_room(self.values, value_states, old, new)
        self.key_slots[:, :, old:new] = key_states
        self.value_slots[:, :, old:new] = value_states
        self.keys = self.key_slots[:, :, :new]
        self.values = self.value_slots[:, :, :new]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows; the next update makes room anew."""
        super().batch_select_indices(indices)
        self.key_slots = self.value_slots = None

    def select_slots(self, order: Tensor) -> None:
        """Keep of each row only these slots (B, T), in this order; the next update makes room anew."""
        places = order[:, None, :, None].expand(-1, self.keys.shape[1], -1, -1)
        self.keys = self.keys.gather(2, places.expand(-1, -1, -1, self.keys.shape[3]))
        self.values = self.values.gather(2, places.expand(-1, -1, -1, self.values.shape[3]))
        self.key_slots = self.value_slots = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row; the next update makes room anew."""
        super().batch_repeat_interleave(repeats)
        self.key_slots = self.value_slots = None


def _with_room(states: Tensor, like: Tensor, old: int, new: int) -> Tensor:
    rows, heads, _, width = like.shape
    slots = like.new_empty(rows, heads, new + ROOM_TOKENS, width)
    if old:
        slots[:, :, :old] = states
    return slots


def new_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache for the model; layers of other kinds (sliding windows) stay as transformers makes them."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
