"""What a page says about probes: a finding, the table, figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unlearning.errors import InputError
from unlearning.probes.bootstrap import Value
from unlearning.probes.table import LEAST_GAP, LEAST_RESAMPLES, ProbeResult, ModelRole, read_results
from unlearning.report.grouping import flatten
from unlearning.report.probe_figures import LABELS, draw_probes, draw_relearning
from unlearning.report.runs import read_mapping, read_run
from unlearning.report.style import METHODS, Picture, picture
from unlearning.runs.provenance import without_home

PROBES = "probes.json"
UNPROBED, ADAPTER = "unprobed", "adapter"
"""Lines that are no attack: the questions as they are, and weights that were never unlearned."""


@dataclass(frozen=True)
class ProbeRow:
    """A line of the table; numbers are a text and their interval."""

    name: str
    title: str
    reason: str | None
    """Why it does not apply; None: it does."""
    measure: str
    asked: str
    cells: list[tuple[str, str]]
    """One a heading."""


@dataclass(frozen=True)
class ProbeView:
    """The section on probes."""

    finding: str
    headings: list[str]
    rows: list[ProbeRow]
    notes: list[str]
    pictures: list[Picture]


def read_probes(run_dir: Path) -> list[ProbeResult]:
    """What probes found; empty where there are none, or the file is of another make."""
    try:
        return list(read_results(read_mapping(run_dir / PROBES)).values())
    except (InputError, AttributeError, KeyError, TypeError):
        return []


def probe_view(lines: Sequence[ProbeResult], colour: str, prefix: str = "") -> ProbeView | None:
    """None without probes. `prefix` keeps the figures of one page apart."""
    if not lines:
        return None
    roles = [role for role in ModelRole if any(role in line.values for line in lines)]
    return ProbeView(
        finding=finding(lines),
        headings=[*(LABELS[role].capitalize() for role in roles), "Recovered"],
        rows=[_row(line, roles) for line in lines],
        notes=[*explanations(lines), *(f"{line.name}: {'; '.join(line.notes)}." for line in lines if line.notes)],
        pictures=_pictures(lines, colour, prefix),
    )


def probe_page(run_dir: Path) -> dict[str, Any]:
    """The template's values for a run of `unlearn-probe`. Raises InputError where the folder has no readable probes."""
    run, lines = read_run(run_dir), read_probes(run_dir)
    view = probe_view(lines, METHODS[0])
    if view is None:
        raise InputError(f"{run_dir / PROBES}: no probes of this version in it")
    config = flatten(without_home(run.config))
    about = next((config[key] for key in ("run", "model.path") if config.get(key, "null") != "null"), "a model")
    return {"title": f"Is it really gone? {Path(about).name}", "view": view, "settings": sorted(config.items())}


def finding(lines: Sequence[ProbeResult]) -> str:
    """Under which probe most comes back, in one sentence."""
    shares = {line.name: line.share for line in lines if line.share is not None}
    plain = shares.pop(UNPROBED, None)
    bare = " Whoever leaves its adapter away has the target back." if shares.pop(ADAPTER, None) else ""
    if not shares:
        return f"No share that came back is known: it takes a target that knows what the probes ask.{bare}"
    most = max(shares, key=lambda name: shares[name].value)
    asked = f"; asked plainly, it is {_number(plain)}" if plain else ""
    some = f"Of {len(shares)} probes {most} brings back most" if len(shares) > 1 else f"{most} brings back"
    return f"{some}: a share of {_number(shares[most])} of what unlearning was to take away{asked}.{bare}"


def explanations(lines: Sequence[ProbeResult]) -> list[str]:
    """What the columns mean, for the page and the terminal."""
    floor = "retrained model" if any(ModelRole.retrained in line.values for line in lines) else "chance"
    return [
        f"Recovered: (unlearned − {floor}) / (target − {floor}), each under the same probe; not cut off at 0 and 1.",
        f"No share where the target is less than {LEAST_GAP:g} above the {floor}: the probe does not tell them apart. "
        f"No interval of a share where that is so in more than {1 - LEAST_RESAMPLES:.0%} of the resamples.",
        "Intervals: 95%, percentile bootstrap over documents, which has no width where all scores are equal.",
    ]


def cell(value: Value | None) -> tuple[str, str]:
    """A number and its interval, empty for what is not there."""
    if value is None:
        return "-", ""
    ends = "" if value.low is None or value.high is None else f"{value.low:.2f} to {value.high:.2f}"
    return f"{value.value:.3f}".replace("-", "−"), ends.replace("-", "−")


def _row(line: ProbeResult, roles: Sequence[ModelRole]) -> ProbeRow:
    chance = f", chance {line.chance:.2f}" if line.chance else ""
    asked = f"{line.rows} rows of {line.documents} documents{chance}"
    cells = [cell(value) for value in (*(line.values.get(role.value) for role in roles), line.share)]
    return ProbeRow(line.name, line.title, line.reason, line.measure, asked, cells)


def _number(value: Value | None) -> str:
    number, ends = cell(value)
    return f"{number} ({ends})" if ends else number


def _pictures(lines: Sequence[ProbeResult], colour: str, prefix: str) -> list[Picture]:
    found = [
        picture(
            f"{prefix}probes",
            "What comes back",
            "Lines are 95% intervals; the grey tick is chance.",
            (10.0, 1.2 + 0.36 * len(lines)),
            partial(draw_probes, lines=lines, colour=colour),
        )
    ]
    trained = [line for line in lines if line.curves]
    if trained:
        caption = (
            "Documents that were not shown again, with 95% bands; dotted: those that the unlearned model was shown."
        )
        draw = partial(draw_relearning, lines=trained, colour=colour)
        found.append(picture(f"{prefix}relearning", "Relearning", caption, (10.0, 3.0), draw))
    return found
