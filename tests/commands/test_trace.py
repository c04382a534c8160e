"""unlearn-trace from the command line."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, TARGET, SandboxRuns, read
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.data import WorldConfig
from unlearning.data.rows import Kind, Row
from unlearning.mediation import selection, trace
from unlearning.mediation.rules import LayerChoice
from unlearning.mediation.tracer import Tracer
from unlearning.sandbox.world import generate

pytestmark = pytest.mark.usefixtures("without_figures")
QUICK = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1"]


def test_its_layers_file_serves_a_run(runs: SandboxRuns) -> None:
    """The layers that a trace chose can be given to `unlearn`, which then does not trace."""
    words = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1", "hydra.run.dir=traced"]
    assert run_command("trace", words, runs.folder).code == 0
    layers = runs.folder / "traced" / "layers.json"
    for name in ("effects.parquet", "report.html", "plots/trace_effects.png", "plots/trace_selection.png"):
        assert (runs.folder / "traced" / name).exists()
    record = read(runs.folder / "traced" / "provenance.json")
    assert (record["seeds"]["trace"], set(record["stage_seconds"])) == (0, {"load", "trace"})
    words = [*SHORT, "logger=none", "save_model=false", f"scope.layers_file={layers}", "hydra.run.dir=by_layers"]
    ended = run_command("unlearn", words, runs.folder)
    assert ended.code == 0, ended.err
    used = read(runs.folder / "by_layers" / "metrics.json")["trace"]["layers"]
    assert used == read(layers)["layers"]


def own_rows(path: Path, rows: Iterable[Row]) -> str:
    """Write the texts of rows, without anything else, and return the path in a list."""
    lines = [json.dumps({"input": row.input, "output": row.output, "kind": row.kind}) for row in rows]
    path.write_text("\n".join(lines))
    return f"[{path}]"


@pytest.mark.exhaustive
def test_rows_of_ones_own(runs: SandboxRuns, tmp_path: Path) -> None:
    """Subjects are found by rule, and where there are none, the exchange of weights that the message advises works."""
    corpus = generate(WorldConfig(documents_per_task=2))
    story = next(row for row in corpus.forget if row.task == "Task1" and row.kind is Kind.COMPLETION)
    asked = [row for row in corpus.forget if row.task == "Task2" and row.kind is Kind.QUESTION]
    data = ["data=jsonl", f"data.retain={own_rows(tmp_path / 'r.jsonl', corpus.retain[:2])}"]
    words = [*QUICK, *data, "model=local", f"model.path={TARGET}"]
    found = [f"data.forget={own_rows(tmp_path / 'f.jsonl', [story, *asked])}", f"hydra.run.dir={tmp_path / 'found'}"]
    ended = run_command("trace", [*words, *found], runs.folder)
    assert ended.code == 0, ended.err
    assert "forget: subjects of 10 of 11 rows: 10 of official questions" in ended.out
    without = [f"data.forget={own_rows(tmp_path / 's.jsonl', [story])}", f"hydra.run.dir={tmp_path / 'without'}"]
    ended = run_command("trace", [*words, *without], runs.folder)
    assert ended.code == 1
    assert "none of the 1 forget rows has a known subject" in ended.err
    assert "trace=weights trace.base_model=FOLDER" in ended.err
    advised = ["trace=weights", f"trace.base_model={ASSETS / 'retrained'}"]
    ended = run_command("trace", [*words, *without, *advised], runs.folder)
    assert ended.code == 0, ended.err
    assert read(tmp_path / "without" / "layers.json")["mode"] == "weights"


def test_what_was_traced_is_kept_when_no_layer_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advised rule chooses layers in the same folder, from the facts that are there."""
    words = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1", "hydra.run.dir=run"]
    with monkeypatch.context() as patch:
        nothing = LayerChoice(np.zeros(8, dtype=bool), np.zeros((2, 8), dtype=bool))
        patch.setattr(selection, "by_effects", lambda *_: nothing)
        ended = run_command("trace", words, tmp_path)
    assert ended.code == 1
    advised = re.search(r"choose (trace.rule=first), .* with (trace.value=0.25),", ended.err)
    assert advised is not None, ended.err
    assert "or trace.noise_std above 3" in ended.err
    assert read(tmp_path / "run" / "status.json")["state"] == "failed"
    before = (tmp_path / "run" / "effects.parquet").read_bytes()
    monkeypatch.setattr(trace, "self_test", lambda _: None)  # it traces facts of its own
    monkeypatch.setattr(Tracer, "trace", pytest.fail)
    ended = run_command("trace", [*words, *advised.groups()], tmp_path)
    assert ended.code == 0, ended.err
    assert read(tmp_path / "run" / "layers.json")["layers"] == [0, 1]
    assert (tmp_path / "run" / "effects.parquet").read_bytes() == before
