"""What probes found: the part of a page, with what most brings back, and the table in the terminal."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unlearning.errors import InputError
from unlearning.probes.bootstrap import Value
from unlearning.probes.table import LEAST_GAP, LEAST_RESAMPLES, ModelRole, ProbeResult, read_results
from unlearning.probes.worst_case import WORST_CASE
from unlearning.report.page import PagePart, render
from unlearning.report.probe_figures import LABELS, PANELS, draw_efforts, draw_probes
from unlearning.report.runs import read_mapping
from unlearning.report.statistic import interval
from unlearning.report.style import METHODS, Picture, picture

PROBES = "probes.json"
PROBED = "Lines are 95% intervals; the grey tick is chance."
EFFORTS = "Values with 95% bands; dotted, unlearned: documents shown again, or the row that leaks most."
UNPROBED, ADAPTER = "unprobed", "adapter"
"""Results that are no attack: the questions as they are, and weights that were never unlearned."""
BELIEVED = ("recognition", "depth", "leakage", "paraphrased")
"""The probes that were judged themselves, those first that can be believed most: see experiments/metrics_judged."""


def read_probes(run_dir: Path) -> list[ProbeResult]:
    """Return what probes found; empty where there are none, or the file cannot be read as such."""
    try:
        return list(read_results(read_mapping(run_dir / PROBES)).values())
    except (InputError, AttributeError, KeyError, TypeError):
        return []


def probe_part(results: Sequence[ProbeResult], colour: str = METHODS[0]) -> PagePart:
    """Return the part on these probes, at least one."""
    results = believed_first(results)
    models, pictures = measured(results), list(_pictures(results, colour))
    values = {
        "results": results,
        "headings": [*(LABELS[role].capitalize() for role in models), "Recovered"],
        "cells": partial(cells, models=models),
        "notes": explanations(results) + [f"{item.name}: {'; '.join(item.notes)}." for item in results if item.notes],
        "pictures": pictures,
    }
    return PagePart("Is it really gone?", finding(results), render("probes.html.j2", values), pictures)


def print_probes(results: Sequence[ProbeResult], console: Console | None = None) -> None:
    """Print for each probe the value of every model and the share recovered, then what the columns mean."""
    results = believed_first(results)
    console, models = console or Console(), measured(results)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("probe")
    for heading in (*models, "recovered"):
        style = "bold" if heading == "recovered" else ""
        table.add_column(heading, justify="right", no_wrap=True, style=style)
    for result in results:
        shown = ["\n".join(filter(None, parts)) for parts in cells(result, models)]
        table.add_row(Text.assemble(result.name, (f"\n{result.measure}", "dim")), *shown)
    console.print(table)
    for result in results:
        if result.reason:
            console.print(Text(f"{result.name} does not apply: {result.reason}", style="yellow"))
    for note in explanations(results):
        console.print(Text(note, style="dim"))


def believed_first(results: Sequence[ProbeResult]) -> list[ProbeResult]:
    """Return the questions as they are, then the probes of BELIEVED, then the others in their order."""
    ranks = {name: rank for rank, name in enumerate((UNPROBED, *BELIEVED))}
    return sorted(results, key=lambda result: ranks.get(result.name, len(ranks)))


def finding(results: Sequence[ProbeResult]) -> str:
    """Return under which probe most comes back, in one sentence."""
    shares = {result.name: result.share for result in results if result.share is not None}
    plain = shares.pop(UNPROBED, None)
    worst = shares.pop(WORST_CASE, None)
    union = f" Row by row, the worst probe brings back {_number(worst)}." if worst else ""
    bare = " Whoever leaves its adapter away has the target back." if shares.pop(ADAPTER, None) else ""
    if not shares:
        return f"No share that came back is known: it takes a target that knows what the probes ask.{bare}"
    most = max(shares, key=lambda name: shares[name].value)
    asked = f"; asked plainly, it is {_number(plain)}" if plain else ""
    some = f"Of {len(shares)} probes {most} brings back most" if len(shares) > 1 else f"{most} brings back"
    return f"{some}: a share of {_number(shares[most])} of what unlearning was to take away{asked}.{union}{bare}"


def measured(results: Sequence[ProbeResult]) -> list[ModelRole]:
    """Return the models that were measured, a column for each."""
    return [role for role in ModelRole if any(role in result.values for result in results)]


def cells(result: ProbeResult, models: Sequence[ModelRole]) -> list[tuple[str, str]]:
    """Return number and interval of each model, then of the share recovered."""
    return [cell(value) for value in (*(result.values.get(role) for role in models), result.share)]


def cell(value: Value | None) -> tuple[str, str]:
    """Return a number and its interval, empty for what is not there."""
    return ("-", "") if value is None else (f"{value.value:.3f}".replace("-", "−"), interval(value.low, value.high))


def explanations(results: Sequence[ProbeResult]) -> list[str]:
    """Return what the columns mean."""
    floor = "retrained model" if ModelRole.retrained in measured(results) else "chance"
    return [
        f"Recovered: (unlearned − {floor}) / (target − {floor}), each under the same probe; not cut off at 0 and 1.",
        f"No share where the target is less than {LEAST_GAP:g} above the {floor}: the probe does not tell them apart. "
        f"No interval of a share where that is so in more than {1 - LEAST_RESAMPLES:.0%} of the resamples.",
        "Intervals: 95%, percentile bootstrap over documents, which has no width where all scores are equal.",
    ]


def _number(value: Value) -> str:
    number, ends = cell(value)
    return f"{number} ({ends})" if ends else number


def _pictures(results: Sequence[ProbeResult], colour: str) -> Iterable[Picture]:
    size = (10.0, 1.2 + 0.36 * len(results))
    yield picture("probes", "What comes back", PROBED, size, draw_probes, results, colour)
    if curved := [result for result in results if result.curves]:
        size = (10.0, 0.2 + 2.8 * -(-len(curved) // PANELS))
        yield picture("efforts", "What more effort brings back", EFFORTS, size, draw_efforts, curved, colour)
