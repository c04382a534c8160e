"""The hardware that a run uses, and how it trains on it."""

from dataclasses import dataclass

from unlearning.config.checks import above, at_least, one_of, require

STRATEGIES = ("auto", "ddp", "fsdp")


@dataclass
class TrainerConfig:
    """The hardware that a run uses through Lightning, and how it trains on it."""

    accelerator: str = one_of(("auto", "cpu", "gpu"), "auto")
    """auto: a GPU where there is one."""
    devices: str = "auto"
    """A number of devices, 1 or more; or auto: all that there are."""
    strategy: str = "auto"
    """auto, ddp or fsdp. ddp: each device holds the whole model and takes its share of a step's rows. fsdp: each device
    also holds only its share of all weights, gradients and moments, and layers are put together as they are run; for
    models that do not fit one device."""
    nodes: int = at_least(1, 1)
    """Computers, each with so many devices."""
    precision: str = one_of(("auto", "32-true", "bf16-mixed", "bf16-true"), "auto")
    """Lightning's names, or auto: 32-true on a CPU, bf16-mixed on a GPU.

    bf16-mixed holds weights, gradients and moments in float32 (16 bytes a trained weight, 4 a frozen one) and
    multiplies in bfloat16. bf16-true holds all of them in bfloat16 (8 bytes and 2), so that a 7B model trains whole on
    80 GB. The price: every update is rounded to the 8 significant bits of a weight. A weight in [2^k, 2^(k+1)) moves in
    steps of 2^(k-7), and an update below half of that is lost: at lr=1e-5 all weights above 2^-8 = 0.004 stand still,
    which are most. The second moment stands still too: times beta2=0.999, it is rounded back to itself. Choose
    bf16-mixed wherever it fits (docs/memory.md); with bf16-true a larger lr, or adapters, which start from zero.
    """
    pack_tokens: int = at_least(2, 512)
    """Longest pack in tokens; rows are laid out in packs of the cheapest length up to it (a longer row: its own)."""
    packs_per_forward: int = at_least(1, 4)
    """Longest packs in one forward pass; more rows in a step are accumulated, exactly."""
    gradient_checkpointing: bool = False
    """Keep what enters a layer and compute the rest again in the backward pass: less memory, a third more time."""
    compile: bool = False
    """Compile each layer's forward pass (torch.compile) while training. Needs a C++ compiler on a CPU, Triton on a
    GPU, and about a minute; results differ by rounding."""
    prefix_cache_gib: float = at_least(0, 4.0)
    """CPU memory for what frozen first layers make of each row, computed once and used in all epochs; 0: none."""
    reference_gib: float = above(0, 4.0)
    """CPU memory, at most, for what the model said before unlearning, where an objective asks for it."""
    checkpoint_every_seconds: float = at_least(0, 60.0)
    """Seconds between resumable checkpoints."""
    max_steps: int | None = at_least(1, None)
    """Stop after so many steps (for trying things out); null: the whole plan."""

    def check(self, key: str) -> None:
        """Raise InputError for a number of devices that is none, and for compiled layers on sharded weights."""
        devices = self.devices
        some = devices == "auto" or (devices.isdigit() and int(devices) >= 1)
        require(some, f"{key}.devices", devices, "auto or 1 or more")
        # Tried with ZeRO stage 3, deepspeed 0.19.8, two processes: norms are 0, nothing is clipped, and processes that
        # project rows of one set and of both wait for one another for ever.
        allowed = f"one of {', '.join(STRATEGIES)}"
        if self.strategy.startswith("deepspeed"):
            allowed += "; fsdp shards as ZeRO-3 does, which hides the gradients that clipping and adaptive weights need"
        require(self.strategy in STRATEGIES, f"{key}.strategy", self.strategy, allowed)
        require(not (self.compile and self.strategy == "fsdp"), f"{key}.compile", True, "false with strategy=fsdp")
