"""The unlearned models: twelve methods, each with two learning rates and a seed of its own for each."""

from dataclasses import dataclass

RATES = ("1e-3", "5e-4")
CEILING = "objective.forget_ceiling_nats=4.5"
METHODS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "npo": ([], RATES),
    "idk": ([], RATES),
    "wga": ([], RATES),
    "altpo": ([], RATES),
    "jensun": ([], RATES),
    "layer_freeze": (["scope=all_mlp", "ratio=1to1", CEILING], RATES),
    "simnpo": ([], RATES),
    "pdu": ([], RATES),
    "dpo": ([], RATES),
    "satimp": ([], RATES),
    "chunked_lora": (["ratio=1to1", CEILING], ("3e-3", "1e-3")),
    "grad_diff": ([], ("3e-4", "2e-4")),
}
"""Method -> its overrides, and its learning rates."""
SCHEDULE = ["schedule.epochs=6", "schedule.batch_rows=16"]


@dataclass(frozen=True)
class Unlearned:
    """A model that is made from the target by unlearning."""

    method: str
    lr: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its results."""
        return f"unlearned-{self.method}-lr-{self.lr}"

    @property
    def cells(self) -> dict[str, str]:
        """What its line of the results says of it."""
        return {"model": self.name, "pool": "unlearned", "made": self.method, "lr": self.lr, "seed": str(self.seed)}

    @property
    def words(self) -> list[str]:
        """Words of `unlearn`."""
        return [
            f"method={self.method}",
            *METHODS[self.method][0],
            *SCHEDULE,
            f"optimizer.lr={self.lr}",
            f"seed={self.seed}",
        ]


def unlearned_models() -> list[Unlearned]:
    """Return all of them, first those of each method's first rate."""
    settings = [(method, rates[place]) for place in (0, 1) for method, (_, rates) in METHODS.items()]
    return [Unlearned(method, lr, seed) for seed, (method, lr) in enumerate(settings)]
