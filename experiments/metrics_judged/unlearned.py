"""The unlearned models: one of each method, with a learning rate that suits the target and a seed of its own."""

from dataclasses import dataclass

CEILING = "objective.forget_ceiling_nats=4.5"
METHODS: dict[str, tuple[list[str], str]] = {
    "npo": ([], "1e-3"),
    "idk": ([], "1e-3"),
    "wga": ([], "1e-3"),
    "altpo": ([], "1e-3"),
    "jensun": ([], "1e-3"),
    "layer_freeze": (["scope=all_mlp", "ratio=1to1", CEILING], "1e-3"),
    "simnpo": ([], "1e-3"),
    "pdu": ([], "1e-3"),
    "dpo": ([], "1e-3"),
    "satimp": ([], "1e-3"),
    "chunked_lora": (["ratio=1to1", CEILING], "3e-3"),
    "grad_diff": ([], "3e-4"),
}
"""Method -> its overrides, and its learning rate."""
SCHEDULE = ["schedule.epochs=6", "schedule.batch_rows=16"]


@dataclass(frozen=True)
class Unlearned:
    """A model that is made from the target by unlearning."""

    method: str
    seed: int

    @property
    def cells(self) -> dict[str, str]:
        """What its line of the results says of it."""
        lr = METHODS[self.method][1]
        name = f"unlearned-{self.method}-lr-{lr}"
        return {"model": name, "pool": "unlearned", "made": self.method, "lr": lr, "seed": str(self.seed)}

    @property
    def words(self) -> list[str]:
        """Words of `unlearn`."""
        overrides, lr = METHODS[self.method]
        return [f"method={self.method}", *overrides, *SCHEDULE, f"optimizer.lr={lr}", f"seed={self.seed}"]


def unlearned_models() -> list[Unlearned]:
    """Return all of them."""
    return [Unlearned(method, seed) for seed, method in enumerate(METHODS)]
