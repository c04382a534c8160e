"""How fast this machine was: rates that finished runs measured, kept in the cache by machine and shape of the model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning.artefacts import write_json
from unlearning.identity import settings_hash
from unlearning.plan.counts import Counts
from unlearning.plan.machine import Machine
from unlearning.plan.work import Work
from unlearning.progress.measured import Measured

SHORTEST_SECONDS = 0.5
"""Parts that were over sooner say little about longer ones."""


@dataclass(frozen=True)
class RateFile:
    """The file of one machine with one shape of a model in one precision."""

    path: Path
    about: Mapping[str, object]
    """What the rates belong to, for a reader of the file."""

    def read(self) -> dict[str, float]:
        """Return the floating-point operations a second of each part; empty where none was measured."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))["flops_per_second"]
            return {str(name): float(rate) for name, rate in found.items() if rate > 0}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def add(self, rates: Mapping[str, float]) -> None:
        """Write these rates in place of earlier ones of the same parts; what others write meanwhile may be lost."""
        if rates:
            write_json(self.path, {**self.about, "flops_per_second": {**self.read(), **rates}})


def rate_file(cache_dir: Path, machine: Machine, precision: str, counts: Counts) -> RateFile:
    """Return the file of this machine and this shape of a model, which need not be there."""
    about = {
        "machine": machine.name,
        "devices": machine.devices,
        "precision": precision,
        "layers": counts.depth,
        "width": counts.width,
        "weights_in_layers": counts.in_layers,
        "vocabulary": counts.vocabulary,
    }
    return RateFile(cache_dir / "rates" / f"{settings_hash(about)[:16]}.json", about)


def measured_rates(parts: Sequence[Measured], work: Mapping[str, Work]) -> dict[str, float]:
    """Return the operations a second of each part that was measured for long enough, given the whole work of each."""
    rates = {}
    for name, whole in work.items():
        own = [part for part in parts if part.name == name]
        seconds, items = sum(part.seconds for part in own), sum(part.items for part in own)
        if seconds >= SHORTEST_SECONDS and items:
            rates[name] = whole.flops * items / whole.items / seconds
    return rates


def expected_seconds(work: Mapping[str, Work], rates: Mapping[str, float]) -> float | None:
    """Return how long all parts take together; None where the rate of one of them is not known."""
    if any(name not in rates for name in work):
        return None
    return sum(whole.flops / rates[name] for name, whole in work.items())
