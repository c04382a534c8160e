"""unlearn-probe, and probes as a stage of unlearn, on three people of the shipped sandbox."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run_command
from unlearning.commands.stages.sandbox_models import ASSETS

pytestmark = pytest.mark.usefixtures("without_figures")
FEW = ["trainer=cpu", "data.max_documents_per_task=2", "evaluation.max_new_tokens=32", "evaluation.max_questions=4"]
RUN = [*FEW, "method=chunked_lora", "trainer.max_steps=1", "evaluation.references=false", "logger=none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished run in run/, which was probed as a stage."""
    made = tmp_path_factory.mktemp("probed")
    words = [*RUN, "probe=[relearning,int8]", "probes.relearning.steps=[1]", "hydra.run.dir=run"]
    ended = run_command("unlearn", words, made)
    assert ended.code == 0, ended.err
    assert "recovered" in ended.out
    return made


def lines(run: Path) -> dict[str, dict[str, Any]]:
    """Return the results in probes.json, by name."""
    return {line["name"]: line for line in json.loads((run / "probes.json").read_text())["probes"]}


def test_probes_are_a_stage_of_a_run(folder: Path) -> None:
    """The target remembers and the retrained model does not; the report shows the table and the curves."""
    found = lines(folder / "run")
    assert list(found) == ["unprobed", "relearning", "int8", "worst_case"]
    assert found["int8"]["values"]["target"]["value"] == 1.0
    assert found["int8"]["values"]["retrained"]["value"] == 0.0
    assert len(found["relearning"]["curves"]["unlearned"]) == 2
    page = (folder / "run" / "report.html").read_text()
    assert "Is it really gone?" in page
    for name in ("probes.csv", "probe_answers.jsonl", "plots/probes.png", "plots/efforts.png"):
        assert (folder / "run" / name).exists()


def test_a_finished_run_is_probed(folder: Path) -> None:
    """What the run has asked already comes from the cache; its own table gets the new results."""
    before = lines(folder / "run")
    words = ["run=run", "trainer=cpu", "evaluation.max_new_tokens=32", "probe=[int8,recognition,adapter]"]
    ended = run_command("probe", [*words, "hydra.run.dir=asked"], folder)
    assert ended.code == 0, ended.err
    found = lines(folder / "asked")
    assert found["int8"] == before["int8"]
    assert found["adapter"]["values"]["unlearned"]["value"] == 1.0
    assert list(lines(folder / "run")) == ["unprobed", "relearning", "int8", "worst_case", "recognition", "adapter"]
    assert (folder / "asked" / "report.html").exists()
    assert json.loads((folder / "asked" / "status.json").read_text())["state"] == "finished"
    ended = run_command("report", ["runs=run", "out=compared"], folder)
    assert ended.code == 0, ended.err
    assert "the right answer among 4" in (folder / "compared" / "report.html").read_text()


def test_any_model_is_probed(folder: Path) -> None:
    """Without a target there is no share that came back; without a retrained model the floor is chance."""
    words = [*FEW, "model=local", f"model.path={ASSETS / 'target'}", "probe=[int8]"]
    ended = run_command("probe", [*words, "hydra.run.dir=alone"], folder)
    assert ended.code == 0, ended.err
    assert lines(folder / "alone")["int8"]["share"] is None
    assert set(json.loads((folder / "alone" / "provenance.json").read_text())["stage_seconds"]) == {"probe"}
    ended = run_command("probe", [*words, f"target={ASSETS / 'target'}", "hydra.run.dir=same"], folder)
    assert ended.code == 0, ended.err
    assert lines(folder / "same")["int8"]["share"]["value"] == 1.0


@pytest.mark.by_default(
    "words0-run=null: must be a run's folder, or give model.path",
    "words2-data=jsonl: with run, model, data, prompt, recipe are the run's",
    "words6-probes.int8.bits=9: must be in [2, 8]",
    "words8-probe: layer=8: this model's layers are 0 to 7",
    "words10-target=nowhere: no such folder",
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run=null: must be a run's folder, or give model.path"),
        (["run=nowhere"], "run=nowhere: no run, its config.yaml cannot be read"),
        (["run=run", "data=jsonl"], "data=jsonl: with run, model, data, prompt, recipe are the run's"),
        (["run=run", "model=local", "model.path=x"], "model.path=x: must be null with run"),
        (["run=run", "target=x"], "target=x: must be null with run"),
        (["run=run", "probe=[]"], "probe=[]: must be one probe or more"),
        (["run=run", "probe=[int8]", "probes.int8.bits=9"], "probes.int8.bits=9: must be in [2, 8]"),
        (
            ["run=run", "probe=[linear]", "probes.linear.fold=3"],
            "fold: no such key; allowed here: attribute, folds",
        ),
        (
            ["run=run", "probe=[linear]", "probes.linear.layer=8"],
            "probe: layer=8: this model's layers are 0 to 7",
        ),
        (["model.path=nowhere"], "model.path=nowhere: no such folder"),
        ([f"model.path={ASSETS / 'target'}", "target=nowhere"], "target=nowhere: no such folder"),
        ([f"model.path={ASSETS / 'target'}", "model.retrained=nowhere"], "model.retrained=nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, folder: Path, tmp_path: Path) -> None:
    """The command ends with one line and exit code 1."""
    ended = run_command("probe", [*words, "trainer=cpu", f"hydra.run.dir={tmp_path / 'bad'}"], folder)
    assert ended.code == 1
    assert message in ended.err.strip().splitlines()[-1]


@pytest.mark.by_default("changed0-the run is running; it must be finished", "changed2-config.yaml, model: ")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status.json": '{"state": "running"}'}, "the run is running; it must be finished"),
        ({"config.yaml": "name: x\n"}, "names no method"),
        ({"config.yaml": "method: x\nmodel: {name: x, nonsense: 1}\n"}, "config.yaml, model: "),
        ({"config.yaml": "method: x\nmodel: {name: x, layers: 0}\n"}, "config.yaml, model: model.layers=0"),
        ({"config.yaml": "- x\n"}, "is not a mapping"),
        ({"model": ""}, "has no model/, which save_model=true would have left"),
    ],
)
def test_a_run_that_cannot_be_probed(changed: dict[str, str], message: str, tmp_path: Path) -> None:
    """One line says why the run cannot be probed."""
    (tmp_path / "run").mkdir()
    files = {"config.yaml": "method: x\nmodel: {name: x}\n", "status.json": '{"state": "finished"}'}
    for name, text in {**files, **changed}.items():
        (tmp_path / "run" / name).write_text(text)
    if "model" not in changed:
        (tmp_path / "run" / "model").mkdir()
    ended = run_command("probe", ["run=run", "trainer=cpu", "hydra.run.dir=out"], tmp_path)
    assert ended.code == 1
    assert message in ended.err
    assert len(ended.err.strip().splitlines()) == 1
