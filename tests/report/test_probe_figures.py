"""The section on probes: what it says, what stands in its table, and that every table can be drawn."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from unlearning.errors import InputError
from unlearning.probes.bootstrap import Value
from unlearning.probes.table import CurvePoint, ProbeResult, table_json
from unlearning.report.html import write_probe_report, write_run_report
from unlearning.report.probe_figures import draw_efforts, draw_probes
from unlearning.report.probe_part import (
    believed_first,
    cell,
    cells,
    explanations,
    finding,
    measured,
    print_probes,
    probe_part,
    read_probes,
)


def value(number: float, width: float = 0.05) -> Value:
    """Return a value with an interval around it."""
    return Value(number, number - width, number + width)


def line(name: str, share: float | None, retrained: bool = True) -> ProbeResult:
    """The target at 0.9, the retrained model at 0.1, and the unlearned one as the share has it."""
    values = {"target": value(0.9), "unlearned": value(0.1 + 0.8 * (share or 0.0))} | (
        {"retrained": value(0.1)} if retrained else {}
    )
    found = None if share is None else value(share, 0.125)
    return ProbeResult(
        name, f"title of {name}", "exact match", None, 0.25, 12, 6, values, found, notes=[f"note of {name}"]
    )


def trained(name: str) -> ProbeResult:
    """Return a result with a curve of three points."""
    points = [
        CurvePoint(steps, value(steps / 10), value(steps / 8) if name == "relearning" else None) for steps in (0, 2, 4)
    ]
    return replace(line(name, 0.5), curves={"unlearned": points, "retrained": points})


LINES = [
    line("unprobed", 0.125),
    trained("relearning"),
    trained("relearning_unrelated"),
    line("int4", -0.5),
    line("primed", 1.625),
    line("affirmed", None),
    replace(line("linear", 0.25), share=Value(0.25, None, None)),
    ProbeResult("adapter", "without its adapter", "exact match", "the model was not released as an adapter"),
]


def texts(figure: Figure) -> list[str]:
    """Return the texts of all axes."""
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_shares_stand_beside_their_dots() -> None:
    """Those beyond the edges too, with a minus sign; what has none says so."""
    figure = Figure()
    draw_probes(figure, LINES, "#123456")
    assert texts(figure) == ["0.12", "0.50", "0.50", "−0.50", "1.62", "no share", "0.25", "does not apply"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [one.name for one in LINES]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [
        "0\nretrained model",
        "0.5",
        "1\ntarget",
    ]


def test_without_a_retrained_model_the_floor_is_chance() -> None:
    """Figure and notes name chance as the floor."""
    figure = Figure()
    alone = [line("int8", 0.5, retrained=False)]
    draw_probes(figure, alone, "#123456")
    assert figure.axes[1].get_xticklabels()[0].get_text() == "0\nchance"
    assert "(target − chance)" in explanations(alone)[0]


def test_curves_are_drawn_for_each_model() -> None:
    """A panel a probe; the shown documents of the unlearned model as a line more, where there are any."""
    figure = Figure()
    draw_efforts(figure, LINES[1:3], "#123456")
    first, second = figure.axes
    drawn = [
        [list(map(float, one.get_ydata())) for one in axis.lines if len(one.get_ydata())] for axis in (first, second)
    ]
    others = [0.0, 0.2, 0.4]
    assert drawn == [[others, [0.0, 0.25, 0.5], others], [others, others]]
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "2", "4"]


def test_what_can_be_believed_comes_first() -> None:
    """After the questions as they are; probes that were not judged keep their order."""
    asked = ["int4", "paraphrased", "relearning", "unprobed", "recognition", "worst_case"]
    shown = [one.name for one in believed_first([line(name, 0.5) for name in asked])]
    assert shown == ["unprobed", "recognition", "paraphrased", "int4", "relearning", "worst_case"]


def test_the_finding_names_the_worst_probe() -> None:
    """Not the plain questions, and not the adapter, whose removal is no attack on what was unlearned."""
    said = finding(LINES)
    assert said.startswith("Of 5 probes primed brings back most: a share of 1.625 (1.50 to 1.75) of what")
    assert said.endswith("asked plainly, it is 0.125 (0.00 to 0.25).")
    assert finding([LINES[0], line("int4", 0.25), line("adapter", 1.0)]).endswith("has the target back.")
    assert finding([LINES[0], line("int4", 0.25)]).startswith("int4 brings back: a share of 0.250")
    together = finding([line("int4", 0.25), line("worst_case", 0.5)])
    assert together.startswith("int4 brings back: a share of 0.250")
    assert together.endswith("Row by row, the worst probe brings back 0.500 (0.38 to 0.62).")
    assert finding([LINES[0], line("affirmed", None)]).startswith("No share that came back is known")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, ("-", "")),
        (Value(0.25, None, None), ("0.250", "")),
        (Value(-0.0625, -0.5, 0.375), ("−0.062", "−0.50 to 0.38")),
    ],
)
def test_a_cell(number: Value | None, shown: tuple[str, str]) -> None:
    """A cell has a number and its interval."""
    assert cell(number) == shown


def test_the_table_has_a_number_for_every_model_that_was_measured() -> None:
    """The share recovered comes last; a probe that does not apply has dashes."""
    models = measured(LINES)
    assert models == ["target", "unlearned", "retrained"]
    assert cells(LINES[0], models)[-1] == ("0.125", "0.00 to 0.25")
    assert cells(LINES[-1], models) == [("-", "")] * 4
    assert measured([line("int8", 0.5, retrained=False)]) == ["target", "unlearned"]


def test_the_part_of_the_page() -> None:
    """Notes stand below the table; without curves there is no figure of efforts."""
    part = probe_part(LINES, "#123456")
    for heading in ("Untouched target", "Unlearned", "Retrained model", "Recovered"):
        assert f'<th class="number">{heading}</th>' in part.html
    assert "<li>int4: note of int4.</li>" in part.html
    assert [item.name for item in part.pictures] == ["probes", "efforts"]
    assert [item.name for item in probe_part(LINES[3:5]).pictures] == ["probes"]


def test_the_terminal_has_the_same_numbers() -> None:
    """The table fits into 80 columns, and nothing is cut."""
    out = io.StringIO()
    print_probes(LINES, Console(file=out, width=80))
    printed = out.getvalue()
    assert "…" not in printed
    assert "−0.500" in printed
    assert "−0.62 to −0.38" in printed
    assert "adapter does not apply: the model was not released as an adapter" in printed


@pytest.mark.usefixtures("undrawn")
def test_a_runs_page_shows_its_probes(write_run: object, tmp_path: Path) -> None:
    """Escaped, with the figures as files; a run without probes, or with a file of another make, has no such section."""
    run = write_run(tmp_path / "run", "grad_ascent", documents=4)  # type: ignore[operator]
    assert "Is it really gone?" not in write_run_report(run).read_text()
    (run / "probes.json").write_text('{"probes": [{"name": "x"}]}')
    assert read_probes(run) == []
    lines = {one.name: one for one in [*LINES, replace(line("own", 0.5), title="<b>")]}
    (run / "probes.json").write_text(json.dumps(table_json(lines)))
    assert read_probes(run) == list(lines.values())
    page = write_run_report(run).read_text()
    assert "Is it really gone?" in page
    assert "&lt;b&gt;" in page
    assert "does not apply: the model was not released as an adapter" in page
    assert (run / "plots" / "probes.png").exists()
    assert (run / "plots" / "efforts.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_the_command(tmp_path: Path) -> None:
    """The page is named after what was probed; without probes there is an InputError."""
    (tmp_path / "config.yaml").write_text("name: probe\nrun: outputs/my-run\nmodel: {path: null}\n")
    (tmp_path / "status.json").write_text('{"state": "running"}')
    with pytest.raises(InputError, match="no probes"):
        write_probe_report(tmp_path)
    (tmp_path / "probes.json").write_text(json.dumps(table_json({one.name: one for one in LINES})))
    page = write_probe_report(tmp_path).read_text()
    assert "<title>Is it really gone? my-run</title>" in page
    assert "title of int4" in page
