"""unlearn-trace from the command line."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, SandboxRuns, read
from unlearning.mediation import selection
from unlearning.mediation.rules import LayerChoice
from unlearning.mediation.tracer import Tracer


def test_its_layers_file_serves_a_run(runs: SandboxRuns) -> None:
    """The layers that a trace chose can be given to `unlearn`, which then does not trace."""
    words = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1", "hydra.run.dir=traced"]
    assert run_command("trace", words, runs.folder).code == 0
    layers = runs.folder / "traced" / "layers.json"
    for name in ("effects.parquet", "report.html", "plots/trace_effects.png", "plots/trace_selection.png"):
        assert (runs.folder / "traced" / name).exists()
    words = [*SHORT, "logger=none", "save_model=false", f"scope.layers_file={layers}", "hydra.run.dir=by_layers"]
    ended = run_command("unlearn", words, runs.folder)
    assert ended.code == 0, ended.err
    used = read(runs.folder / "by_layers" / "metrics.json")["trace"]["layers"]
    assert used == read(layers)["layers"]


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
    monkeypatch.setattr(Tracer, "trace", pytest.fail)
    ended = run_command("trace", [*words, *advised.groups()], tmp_path)
    assert ended.code == 0, ended.err
    assert read(tmp_path / "run" / "layers.json")["layers"] == [0, 1]
    assert (tmp_path / "run" / "effects.parquet").read_bytes() == before
