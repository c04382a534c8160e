"""The commands from Python (`unlearning.compose`, `unlearning.run`) do what they do on the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import unlearning
from tests.command_line import own_logging, run_command
from tests.commands.sandbox_runs import SandboxRuns, logits
from unlearning.config.commands import UnlearnConfig
from unlearning.config.objective import NPOConfig

METHOD = "chunked_lora"
NAMES_A_TIME_OR_A_FOLDER = ("run.log", "status.json", "provenance.json", "metrics.json", "README.md", ".lock")
COMPARED = (".json", ".jsonl", ".safetensors", ".yaml")


def test_settings_are_those_of_the_command_line(tmp_path: Path) -> None:
    """What is composed is what --cfg prints, as the dataclass of the command, with presets and tuned numbers."""
    composed = unlearning.compose(["method=npo", "objective.beta=0.2"])
    assert isinstance(composed.settings, UnlearnConfig)
    assert isinstance(composed.settings.objective, NPOConfig)
    assert composed.settings.objective.beta == 0.2
    shown = run_command("unlearn", ["method=npo", "objective.beta=0.2", "--cfg", "job", "--resolve"], tmp_path)
    assert yaml.safe_load(str(composed)) == yaml.safe_load(shown.out)


@pytest.mark.parametrize(
    ("words", "command", "message"),
    [
        (["optimizer.lrr=3"], "unlearn", r"^optimizer\.lrr: no such key; allowed here: accumulation"),
        (
            ["scope=layers"],
            "memorise",
            r"^scope\.layers: it has no default, so it must be given: scope\.layers=\.\.\.$",
        ),
        (["optimizer.lr=-1"], "trace", r"^optimizer: no such key; allowed here"),
        (["seed=1,2"], "unlearn", "multirun"),
        ([], "report", r"^command=report: must be one of unlearn, "),
    ],
)
def test_what_cannot_be_composed_is_refused(words: list[str], command: str, message: str) -> None:
    """It is the error of the command line, in one line."""
    with pytest.raises(unlearning.InputError, match=message) as caught:
        unlearning.compose(words, command)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.usefixtures("without_figures")
def test_a_run_leaves_what_the_command_leaves(runs: SandboxRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers and weights are equal to the last bit, and either takes up a folder of the other."""
    shell, python = runs.run(METHOD), runs.folder / "python"
    monkeypatch.chdir(runs.folder)
    words = runs.words(METHOD)
    with own_logging():
        run = unlearning.run(unlearning.compose(words), folder="python")
        again = unlearning.run(unlearning.compose(words))
    files = {path.relative_to(python) for path in python.rglob("*") if path.is_file()}
    assert files == {path.relative_to(shell) for path in shell.rglob("*") if path.is_file()}
    for file in files:
        if file.suffix in COMPARED and file.name not in NAMES_A_TIME_OR_A_FOLDER:
            assert (python / file).read_bytes() == (shell / file).read_bytes(), file
    assert (again.folder, again.state, run.state) == (Path(METHOD), "finished", "finished")
    told = json.loads((shell / "metrics.json").read_text())
    assert run.metrics == {"unlearned": told["unlearned"]} == again.metrics
    answers = [json.loads(line) for line in (shell / "generations.jsonl").read_text().splitlines()]
    assert [item.generated for item in run.generations] == [answer["generated"] for answer in answers]
    assert torch.equal(logits(run.model()), runs.trained[METHOD])
    assert len(run.tokenizer()) == run.model().config.vocab_size
    assert list(run.table("loss_curve")["step"]) == [0, 1]
    assert run.report == Path("python/report.html")
    record = json.loads((python / "provenance.json").read_text())
    assert record["overrides"] == json.loads((shell / "provenance.json").read_text())["overrides"]
    resume = json.loads((python / "status.json").read_text())["resume"]
    assert resume == f"unlearn {' '.join(words[:-1])} hydra.run.dir=python"
    shutil.rmtree(python)


def test_a_run_that_is_refused_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised as it is."""
    monkeypatch.chdir(tmp_path)
    composed = unlearning.compose(["method=grad_diff", "scope=layers", "scope.layers=0-99", "logger=none"])
    with pytest.raises(unlearning.InputError, match=r"^scope\.layers=0-99: this model's layers are 0 to 7"):
        unlearning.run(composed, folder="run")
    assert not any(tmp_path.iterdir())


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Of a folder that is no run's, nothing can be read, and the message says what is missing."""
    with pytest.raises(unlearning.InputError, match=r"^elsewhere: no such folder$"):
        unlearning.Run("elsewhere")
    run = unlearning.Run(tmp_path)
    assert (run.state, run.metrics, run.figures) == ("unknown", {}, {})
    with pytest.raises(unlearning.InputError, match=r"model: not there; the run is unknown$"):
        run.model()


def test_importing_the_package_is_quick() -> None:
    """`import unlearning` brings no heavy library."""
    heavy = ("torch", "transformers", "pytorch_lightning", "pandas")
    code = f"import sys, unlearning; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
