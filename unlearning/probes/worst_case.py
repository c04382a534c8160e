"""The worst case: for each forget row the probe that brings back most of it, over all probes together."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.depth import DepthScore
from unlearning.probes.probe import Measurement, Probe, RowScore
from unlearning.probes.table import ModelRole

WORST_CASE = "worst_case"
"""Name of the result over all probes."""


@dataclass(frozen=True)
class WorstCase:
    """The mean over rows of the highest score that any probe finds for the row (as JensUn's worst case, 2509.02820).

    For scores of 0 and 1 this is the share of rows that some probe brings back. Only probes count that were put to all
    models, so that each model has as many attempts, and whose score a guess leaves at 0: with several guesses at
    multiple choice, some would be right. A row counts that some of them ask about. The weights that an adapter was
    trained on are not counted, since they never unlearned, nor are states that are put into the target.
    """

    probes: Mapping[str, Probe]

    @property
    def title(self) -> str:
        """What is taken of all probes."""
        return "the highest score of each row over all probes without chance"

    @property
    def measure(self) -> str:
        """The measure, which is that of each row's probe."""
        return "highest score"

    def measurements(
        self, found: Mapping[str, Mapping[ModelRole, Measurement]], roles: frozenset[ModelRole]
    ) -> dict[ModelRole, Measurement]:
        """Return each model's worst case from what the probes found, by their names; empty where none counts."""
        counted = {name: by_role for name, by_role in found.items() if self._counts(name, by_role, roles)}
        return {role: _worst({name: by_role[role] for name, by_role in counted.items()}) for role in roles if counted}

    def _counts(self, name: str, by_role: Mapping[ModelRole, Measurement], roles: frozenset[ModelRole]) -> bool:
        if isinstance(self.probes[name], AdapterRemoved | DepthScore):
            return False
        return by_role.keys() == roles and not any(measurement.chance for measurement in by_role.values())


def _worst(found: Mapping[str, Measurement]) -> Measurement:
    """Return the highest score of each row, with the name of its probe in the answer's place: of equals, the first."""
    best: dict[str, RowScore] = {}
    for name, measurement in found.items():
        for item in measurement.items:
            if item.id not in best or item.score > best[item.id].score:
                best[item.id] = RowScore(item.id, item.document, item.score, name)
    by_probe = Counter(str(item.answer) for item in best.values() if item.score > 0)
    shares = [f"{name} {by_probe[name]}" for name in found if by_probe[name]]
    none = len(best) - by_probe.total()
    note = f"the unlearned model's rows by the probe that brings back most: {', '.join([*shares, f'none {none}'])}"
    return Measurement([best[name] for name in sorted(best)], notes=[note])
