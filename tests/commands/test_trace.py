"""unlearn-trace from the command line."""

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, SandboxRuns, read


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
