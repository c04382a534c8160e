"""The memory of a run, by part, in bytes for each device."""

from dataclasses import dataclass, fields

from unlearning.plan.activations import Activations
from unlearning.plan.counts import Counts
from unlearning.training.disk_space import MOMENTS

GIB = 2**30
NF4_BITS = 4.127
"""Bits of a weight in NF4 with quantised constants (QLoRA, Dettmers et al. 2023, arXiv 2305.14314, section 3)."""
GAPS = 2
"""Places of an adapted module's output that stay empty, where the allocator leaves gaps. An adapted module makes three
temporary tensors of that size. Two is fitted to what two models took: benchmarks/README.md, "A billion weights".
"""
LOGITS_COPIES = 3
"""Tensors as large as the logits that are computed together: the logits, their logarithms, and the gradient."""


@dataclass(frozen=True)
class Layout:
    """How a model is held on the devices."""

    precision: str = "32-true"
    """Lightning's name."""
    in_4_bits: bool = False
    gradient_checkpointing: bool = False
    sharded_over: int = 1
    """Devices among which fsdp divides all weights; 1: each device holds all of them."""
    replicas: int = 1
    """Devices that each hold all weights, with ddp."""
    sharp: bool = False
    """Whether the forget gradient is taken uphill (optimizer.sam_radius)."""
    leaves_gaps: bool = False
    """Whether the place of a freed tensor stays empty when the next one is made (`Machine.leaves_gaps`)."""

    @property
    def itemsize(self) -> int:
        """Bytes of a weight, of its gradient and of each of its moments."""
        return 2 if self.precision == "bf16-true" else 4

    @property
    def mixed(self) -> bool:
        """Whether products are made in bfloat16, of weights in float32."""
        return self.precision == "bf16-mixed"


@dataclass(frozen=True)
class Memory:
    """Bytes on one device while it trains, by part."""

    weights: float
    gradients: float
    moments: float
    copies: float
    """bfloat16 copies of weights; with ddp, the gradients that are exchanged; with fsdp, two whole layers; uphill, the
    weights from below and the gradients of the retain rows."""
    activations: float
    """0 where they are not known for the architecture."""
    logits: float
    gaps: float = 0.0
    """Empty places between the activations of adapted modules, where the allocator leaves them."""
    checkpoint: float = 0.0
    """The copy of weights and moments that is written while training goes on; 0 with a GPU, which does not hold it."""
    tables: float = 0.0
    """What the model said before unlearning, and outputs of frozen first layers; 0 with a GPU likewise."""
    libraries: float = 0.0
    """What PyTorch and other libraries take by themselves."""

    @property
    def certain(self) -> float:
        """Bytes of weights, gradients and moments, below which no setting of packs can go."""
        return self.weights + self.gradients + self.moments

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return float(sum(getattr(self, part.name) for part in fields(self)))


def training_memory(
    counts: Counts, layout: Layout, activations: Activations | None, packs: int, logits_bytes: float
) -> Memory:
    """Return the bytes of each part.

    weights    itemsize x all; in 4 bits, NF4_BITS / 8 for each weight of the layers
    gradients  itemsize x trained
    moments    2 x itemsize x trained

    - With fsdp the first three are divided by the devices, and embeddings and head are held whole besides.
    - `packs` is the number of packs in the largest forward pass, `logits_bytes` the size of the
      logits that are computed together.
    - gaps are GAPS x the outputs of all adapted modules for all tokens of that pass, in the type of the activations.
    """
    size = layout.itemsize
    weights = float(size * counts.total)
    if layout.in_4_bits:
        weights = NF4_BITS / 8 * counts.in_layers + size * (counts.total - counts.in_layers)
    gradients, moments = float(size * counts.trained), float(MOMENTS * size * counts.trained)
    copies = _copies(counts, layout, activations)
    if layout.sharded_over > 1:
        weights, gradients, moments = (part / layout.sharded_over for part in (weights, gradients, moments))
        weights += size * (counts.total - counts.adapters - counts.in_layers)
    return Memory(
        weights=weights,
        gradients=gradients,
        moments=moments,
        copies=copies,
        activations=activation_bytes(counts, layout, activations, packs),
        logits=LOGITS_COPIES * logits_bytes,
        gaps=_gap_bytes(counts, layout, activations, packs),
    )


def activation_bytes(counts: Counts, layout: Layout, activations: Activations | None, packs: int) -> float:
    """Return the bytes that the backward pass needs of so many packs.

    With gradient checkpointing these are the inputs of the layers that the backward pass goes through, in the weights'
    type, and the activations of one layer. 0 where nothing is known.
    """
    if activations is None or not counts.moving:
        return 0.0
    if not layout.gradient_checkpointing:
        return packs * activations.pack_bytes
    return packs * (
        activations.pack_tokens * layout.itemsize * counts.width * counts.moving
        + activations.pack_bytes / counts.moving
    )


def _gap_bytes(counts: Counts, layout: Layout, activations: Activations | None, packs: int) -> float:
    """Return the bytes of the gaps; where layers are recomputed, those of one layer."""
    if activations is None or not layout.leaves_gaps or not counts.adapted_width:
        return 0.0
    layers = counts.moving if layout.gradient_checkpointing else 1
    itemsize = 2 if layout.mixed else layout.itemsize
    return GAPS * itemsize * packs * activations.pack_tokens * counts.adapted_width / layers


def _copies(counts: Counts, layout: Layout, activations: Activations | None) -> float:
    """Return the bytes of copies: of all weights that the backward pass needs, or, if recomputed, of few."""
    if layout.sharded_over > 1:
        return 2.0 * 2 * counts.layer
    more = float(layout.itemsize * counts.trained * ((layout.replicas > 1) + 2 * layout.sharp))
    if not layout.mixed and not layout.in_4_bits:
        return more
    if layout.gradient_checkpointing or activations is None:
        return more + 2.0 * ((0 if layout.in_4_bits else counts.trained) + counts.layer)
    return more + activations.copies_bytes


def scoring_memory(counts: Counts, itemsize: int, slots: int, logits_bytes: float) -> float:
    """Return the bytes that scoring takes on a device: all weights, keys and values of `slots` tokens, and logits."""
    cache = 2 * itemsize * counts.key_value_width * counts.depth * slots
    return itemsize * (counts.total - counts.adapters) + cache + LOGITS_COPIES * logits_bytes
