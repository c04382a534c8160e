"""The hardware that a run uses, and how it trains on it."""

from dataclasses import dataclass

from unlearning.config.checks import require


@dataclass
class TrainerConfig:
    """Hardware, through Lightning."""

    accelerator: str = "auto"
    devices: str = "auto"
    strategy: str = "auto"
    """ddp: each device holds the whole model and takes its share of a step's rows. fsdp: each holds a share of all
    weights, gradients and moments besides, and layers are put together as they are run; for what does not fit one."""
    nodes: int = 1
    precision: str = "auto"
    """Lightning's names, or auto: 32-true on a CPU, bf16-mixed on a GPU.

    bf16-mixed holds weights, gradients and moments in float32 (16 bytes a trained weight, 4 a frozen one) and
    multiplies in bfloat16. bf16-true holds all of them in bfloat16 (8 bytes and 2), so that a 7B model trains whole on
    80 GB. The price: every update is rounded to the 8 significant bits of a weight. A weight in [2^k, 2^(k+1)) moves in
    steps of 2^(k-7), and an update below half of that is lost: at lr=1e-5 all weights above 2^-8 = 0.004 stand still,
    which are most. The second moment stands still too: times beta2=0.999, it is rounded back to itself. Choose
    bf16-mixed wherever it fits (docs/memory.md); with bf16-true a larger lr, or adapters, which start from zero.
    """
    pack_tokens: int = 512
    """Longest pack in tokens; rows are laid out in packs of the cheapest length up to it (a longer row: its own)."""
    packs_per_forward: int = 4
    """Longest packs in one forward pass; more rows in a step are accumulated, exactly."""
    gradient_checkpointing: bool = False
    """Keep what enters a layer and compute the rest again in the backward pass: less memory, a third more time."""
    compile: bool = False
    """Compile each layer's forward pass (torch.compile) while training. Needs a C++ compiler on a CPU, Triton on a
    GPU, and about a minute; results differ by rounding."""
    prefix_cache_gib: float = 4.0
    """CPU memory for what frozen first layers make of each row, computed once and used in all epochs; 0: none."""
    reference_gib: float = 4.0
    """CPU memory, at most, for what the model said before unlearning, where an objective asks for it."""
    checkpoint_every_seconds: float = 60.0
    """Seconds between resumable checkpoints."""
    max_steps: int | None = None
    """Stop after so many steps (for trying things out); null: the whole plan."""

    def __post_init__(self) -> None:
        precisions = ("auto", "32-true", "bf16-mixed", "bf16-true")
        require(
            self.precision in precisions,
            "trainer.precision",
            self.precision,
            f"one of {', '.join(precisions)}",
        )
        accelerators = ("auto", "cpu", "gpu")
        require(
            self.accelerator in accelerators,
            "trainer.accelerator",
            self.accelerator,
            f"one of {', '.join(accelerators)}",
        )
        strategies = ("auto", "ddp", "fsdp")
        allowed = f"one of {', '.join(strategies)}"
        if self.strategy.startswith("deepspeed"):
            # Tried with ZeRO stage 3, deepspeed 0.19.8, two processes: norms are 0, nothing is clipped, and processes
            # that project rows of one set and of both wait for one another for ever.
            allowed += "; fsdp shards as ZeRO-3 does, which hides the gradients that clipping and adaptive weights need"
        require(self.strategy in strategies, "trainer.strategy", self.strategy, allowed)
        require(not (self.compile and self.strategy == "fsdp"), "trainer.compile", True, "false with strategy=fsdp")
        require(
            self.devices == "auto" or (self.devices.isdigit() and int(self.devices) >= 1),
            "trainer.devices",
            self.devices,
            "auto or 1 or more",
        )
        require(self.nodes >= 1, "trainer.nodes", self.nodes, "1 or more")
        require(self.pack_tokens >= 2, "trainer.pack_tokens", self.pack_tokens, "2 or more")
        require(self.packs_per_forward >= 1, "trainer.packs_per_forward", self.packs_per_forward, "1 or more")
        require(self.prefix_cache_gib >= 0, "trainer.prefix_cache_gib", self.prefix_cache_gib, "0 or more")
        require(self.reference_gib > 0, "trainer.reference_gib", self.reference_gib, "above 0")
        seconds = self.checkpoint_every_seconds
        require(seconds >= 0, "trainer.checkpoint_every_seconds", seconds, "0 or more")
        require(
            self.max_steps is None or self.max_steps >= 1,
            "trainer.max_steps",
            self.max_steps,
            "1 or more, or null",
        )
