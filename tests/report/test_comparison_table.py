"""The table of a comparison as CSV and as LaTeX."""

import csv
import re
from dataclasses import replace
from pathlib import Path

from unlearning.config.report import SelectConfig
from unlearning.report.comparison_row import COLUMNS, ComparisonRow
from unlearning.report.comparison_table import latex_table, write_latex, write_table
from unlearning.report.runs import find_runs
from unlearning.report.statistic import Statistic
from unlearning.report.summary import Section, Summary, summarise


def test_csv_holds_the_same_numbers(runs_dir: Path, tmp_path: Path) -> None:
    """The file has mean, range and interval of each number, and what is marked."""
    summary = summarise(find_runs(runs_dir), SelectConfig())
    write_table(tmp_path / "table.csv", summary)
    with (tmp_path / "table.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert [line["model"] for line in lines] == [row.label for row in summary.rows]
    for line, row in zip(lines, summary.rows, strict=True):
        assert (int(line["best"]), int(line["selected"])) == (row.best, row.selected)
        assert (int(line["runs"]), int(line["seeds"])) == (len(row.runs), row.seeds)
        for column in COLUMNS:
            value = row.values.get(column.key)
            ends = value.interval if value and value.interval else ("", "")
            assert line[column.key] == ("" if value is None else repr(value.mean))
            assert line[f"{column.key}_max"] == ("" if value is None else repr(value.high))
            assert (line[f"{column.key}_low_95"], line[f"{column.key}_high_95"]) == tuple(map(str, ends))
    seeds = next(line for line in lines if line["model"] == "layer_freeze")
    assert seeds["seeds"] == "3"
    assert seeds["final_low_95"] == ""
    assert float(seeds["final_min"]) < float(seeds["final"]) < float(seeds["final_max"])
    fronts = [{line["model"] for line in lines if line[key] == "1"} for key in ("front_retain", "front_utility")]
    assert all(fronts)
    assert "retrained model" not in fronts[0] | fronts[1]


def value(mean: float, half: float | None = None) -> Statistic:
    """Return the number of three seeds, which have a range around it, or of one run."""
    low, high = (mean, mean) if half is None else (mean - half, mean + half)
    return Statistic(mean, low, high, 1 if half is None else 3)


def section(*rows: ComparisonRow) -> Section:
    """Return a section with these rows."""
    return Section("model_a on 50% of it", rows)


def row(label: str, final: Statistic | None, forget: float, role: str = "method") -> ComparisonRow:
    """Return a row with these two numbers."""
    values = dict.fromkeys((column.key for column in COLUMNS), value(0.5)) | {"final": final}
    return ComparisonRow(label, role, {**values, "forget_knowledge": value(forget)})


def cells(line: str) -> list[str]:
    """Return the cells of one line of a tabular."""
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix("\\\\"))]


def test_latex_by_hand() -> None:
    """Label, n, then the eight columns; final is the fourth of them, forget EM the sixth."""
    text = latex_table(
        section(
            row("retrained model", value(0.99), 0.0, "retrained"),
            row("a_b, lr=1e-05", value(0.8, 0.05), 0.2),
            row("c & d", value(0.7), 0.1),
            row("none", None, 0.3),
        )
    )
    lines = text.split("\n")
    assert lines[:3] == ["% model_a on 50% of it", r"\begin{tabular}{lrrrrrrrrr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert lines.count(r"\midrule") == 2
    found = {cells(line)[0]: cells(line) for line in lines if " & " in line}
    assert found["Model"][5] == r"Final score $\uparrow$"
    assert found["Model"][7] == r"Forget EM $\downarrow$"
    assert found["retrained model"][5] == "$0.990$"
    assert found[r"a\_b, lr=1e-05"][5] == r"$\mathbf{0.800}$ {\scriptsize 0.75--0.85}"
    assert found[r"a\_b, lr=1e-05"][1] == "3"
    assert found[r"c \& d"][5] == "$0.700$"
    assert found["none"][5] == "--"


def test_latex_marks_the_best_of_several_methods_by_direction() -> None:
    """The lowest of what should be low; of numbers that print alike both; of a single method none."""
    two = latex_table(section(row("a", value(0.80001), 0.2), row("b", value(0.8), 0.1)))
    lines = {cells(line)[0]: cells(line) for line in two.split("\n") if " & " in line}
    assert (lines["a"][5], lines["b"][5]) == (r"$\mathbf{0.800}$", r"$\mathbf{0.800}$")
    assert (lines["a"][7], lines["b"][7]) == ("$0.200$", r"$\mathbf{0.100}$")
    assert "mathbf" not in latex_table(section(row("a", value(0.8), 0.2)))


def test_interval_of_a_single_run_stands_beside_it() -> None:
    """The interval stands in brackets and is small."""
    alone = replace(value(0.8), interval=(0.75, 0.83))
    assert r"$0.800$ {\scriptsize [0.75, 0.83]}" in latex_table(section(row("a", alone, 0.2)))


def test_labels_are_escaped() -> None:
    """LaTeX prints every character of a label as it is."""
    text = latex_table(section(row("50% & $5_#1 {a}^~", value(0.8), 0.2)))
    assert r"50\% \& \$5\_\#1 \{a\}\textasciicircum \textasciitilde  & 1 &" in text


def test_latex_file(compared: Path, tmp_path: Path) -> None:
    """A tabular a setting, every line with as many cells as columns, braces balanced, nothing unescaped."""
    summary = summarise(find_runs(compared))
    write_latex(tmp_path / "table.tex", Summary(summary.sections * 2, (), ()))
    text = (tmp_path / "table.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert text.startswith("% needs booktabs")
    body = [line for line in text.split("\n") if line.endswith("\\\\")]
    assert len(body) == 2 * (1 + len(summary.rows))
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {9}
    assert all(line.count("{") == line.count("}") for line in body)
    assert not re.search(r"(?<!\\)_", "".join(body))
