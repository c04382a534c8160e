"""What a page says about probes: a finding, the table, figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unlearning.errors import InputError
from unlearning.probes.bootstrap import Value
from unlearning.probes.table import LEAST_GAP, LEAST_RESAMPLES, ModelRole, ProbeResult, read_results
from unlearning.report.probe_figures import LABELS, draw_probes, draw_relearning
from unlearning.report.runs import read_mapping
from unlearning.report.style import Picture, picture

PROBES = "probes.json"
UNPROBED, ADAPTER = "unprobed", "adapter"
"""Results that are no attack: the questions as they are, and weights that were never unlearned."""


@dataclass(frozen=True)
class ProbeView:
    """The section on probes."""

    results: list[ProbeResult]
    roles: list[ModelRole]
    """The models that were measured, a column for each."""
    finding: str
    notes: list[str]
    pictures: list[Picture]

    @property
    def headings(self) -> list[str]:
        """Return what stands over the columns of numbers."""
        return [*(LABELS[role].capitalize() for role in self.roles), "Recovered"]

    def values(self, result: ProbeResult) -> list[Value | None]:
        """Return the numbers of a line, one for each heading."""
        return [*(result.values.get(role) for role in self.roles), result.share]


def read_probes(run_dir: Path) -> list[ProbeResult]:
    """Return what probes found; empty where there are none, or the file cannot be read as such."""
    try:
        return list(read_results(read_mapping(run_dir / PROBES)).values())
    except (InputError, AttributeError, KeyError, TypeError):
        return []


def probe_view(results: Sequence[ProbeResult], colour: str, prefix: str = "") -> ProbeView | None:
    """Return the section; None without probes. `prefix` keeps the figures of one page apart."""
    if not results:
        return None
    return ProbeView(
        results=list(results),
        roles=[role for role in ModelRole if any(role in result.values for result in results)],
        finding=finding(results),
        notes=[*explanations(results), *(f"{item.name}: {'; '.join(item.notes)}." for item in results if item.notes)],
        pictures=_pictures(results, colour, prefix),
    )


def finding(results: Sequence[ProbeResult]) -> str:
    """Return under which probe most comes back, in one sentence."""
    shares = {result.name: result.share for result in results if result.share is not None}
    plain = shares.pop(UNPROBED, None)
    bare = " Whoever leaves its adapter away has the target back." if shares.pop(ADAPTER, None) else ""
    if not shares:
        return f"No share that came back is known: it takes a target that knows what the probes ask.{bare}"
    most = max(shares, key=lambda name: shares[name].value)
    asked = f"; asked plainly, it is {_number(plain)}" if plain else ""
    some = f"Of {len(shares)} probes {most} brings back most" if len(shares) > 1 else f"{most} brings back"
    return f"{some}: a share of {_number(shares[most])} of what unlearning was to take away{asked}.{bare}"


def explanations(results: Sequence[ProbeResult]) -> list[str]:
    """Return what the columns mean, for the page and the terminal."""
    floor = "retrained model" if any(ModelRole.retrained in result.values for result in results) else "chance"
    return [
        f"Recovered: (unlearned − {floor}) / (target − {floor}), each under the same probe; not cut off at 0 and 1.",
        f"No share where the target is less than {LEAST_GAP:g} above the {floor}: the probe does not tell them apart. "
        f"No interval of a share where that is so in more than {1 - LEAST_RESAMPLES:.0%} of the resamples.",
        "Intervals: 95%, percentile bootstrap over documents, which has no width where all scores are equal.",
    ]


def cell(value: Value | None) -> tuple[str, str]:
    """Return a number and its interval, empty for what is not there."""
    if value is None:
        return "-", ""
    ends = "" if value.low is None or value.high is None else f"{value.low:.2f} to {value.high:.2f}"
    return f"{value.value:.3f}".replace("-", "−"), ends.replace("-", "−")


def _number(value: Value | None) -> str:
    number, ends = cell(value)
    return f"{number} ({ends})" if ends else number


def _pictures(results: Sequence[ProbeResult], colour: str, prefix: str) -> list[Picture]:
    caption, size = "Lines are 95% intervals; the grey tick is chance.", (10.0, 1.2 + 0.36 * len(results))
    draw = partial(draw_probes, lines=results, colour=colour)
    found = [picture(f"{prefix}probes", "What comes back", caption, size, draw)]
    if trained := [result for result in results if result.curves]:
        caption = (
            "Documents that were not shown again, with 95% bands; dotted: those that the unlearned model was shown."
        )
        draw = partial(draw_relearning, lines=trained, colour=colour)
        found.append(picture(f"{prefix}relearning", "Relearning", caption, (10.0, 3.0), draw))
    return found
