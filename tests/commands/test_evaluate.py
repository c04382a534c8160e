"""unlearn-evaluate from the command line."""

import pytest

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT_EVALUATION, SandboxRuns, read

pytestmark = pytest.mark.usefixtures("without_figures")


def test_a_saved_model_scores_as_in_its_run(runs: SandboxRuns) -> None:
    """The weights that a run wrote have the scores that the run measured."""
    model = runs.run("grad_ascent") / "model"
    words = ["model=local", f"model.path={model}", "trainer=cpu", "logger=none", *SHORT_EVALUATION]
    ended = run_command("evaluate", [*words, "data.max_documents_per_task=1", "hydra.run.dir=scored"], runs.folder)
    assert ended.code == 0, ended.err
    record = read(runs.folder / "scored" / "evaluation" / "local.json")
    assert record["metrics"] == read(runs.folder / "grad_ascent" / "metrics.json")["unlearned"]
    assert record["weights_dtype"] == "float32"
    made, scored = (read(runs.folder / name / "provenance.json") for name in ("grad_ascent", "scored"))
    assert scored["data_fingerprint"] == made["data_fingerprint"]
    assert words[0] in scored["overrides"]
