"""The commands on the shipped sandbox, tiny but whole: what they leave behind, and what they do with what is there."""

import csv
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.command_line import Ended
from unlearning import cli, memorise, run_folder, submission
from unlearning.cli import conf_dir
from unlearning.config import WorldConfig
from unlearning.sandbox.world import generate
from unlearning.training import callbacks

ROOT = Path(__file__).parent.parent
METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
TARGET = memorise.ASSETS / "target"
SHORT_EVALUATION = ["evaluation.max_new_tokens=8", "evaluation.max_questions=12"]
SHORT = [
    "trainer=cpu",
    "trainer.max_steps=2",
    "trace.facts=1",
    "trace.draws=1",
    "data.max_documents_per_task=1",
    "evaluation.references=false",
    *SHORT_EVALUATION,
]
OWN_WORDS = {
    "layer_freeze": ["logger=wandb_offline"],
    "chunked_lora": ["logger=csv"],
    "grad_diff": ["logger=none", "evaluation.references=true"],
}
SMALL_WORLD = [
    "data.world.documents_per_task=1",
    "data.world.nonmember_documents=2",
    "data.world.known_entities=4",
    "data.world.teaching_entities=1",
    "model.blocks=2",
    "model.width=32",
    "model.heads=2",
    "model.vocabulary=400",
    "recipe.epochs=1",
    "recipe.batch_rows=8",
    "trainer=cpu",
    "trainer.pack_tokens=512",
    "logger=none",
]
TOKENS = torch.arange(5, 45).reshape(2, 20)


def run(name: str, words: list[str], cwd: Path) -> Ended:
    """A command in this process; `run_command` for fixtures that outlive a test."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [name, *words])
        try:
            getattr(cli, name)()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
    return Ended(code, out.getvalue(), err.getvalue())


def logits(model: Any) -> Tensor:
    """On tokens of no meaning."""
    with torch.no_grad():
        result: Tensor = model.eval()(input_ids=TOKENS).logits
    return result


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


@dataclass
class Workshop:
    """A working folder in which each method is run once."""

    folder: Path
    trained: dict[str, Tensor] = field(default_factory=dict)
    """Logits of each method's model as it was after training, before it was written."""

    def words(self, method: str) -> list[str]:
        """Of the command line."""
        return [f"method={method}", *SHORT, *OWN_WORDS.get(method, ["logger=none"]), f"hydra.run.dir={method}"]

    def run(self, method: str) -> Path:
        """The finished run's folder."""
        if method not in self.trained:
            ended = self._run_and_look(method)
            assert ended.code == 0, ended.err
        return self.folder / method

    def _run_and_look(self, method: str) -> Ended:
        original = run_folder.save_weights

        def looking(*arguments: Any) -> Any:
            model = original(*arguments)
            self.trained[method] = logits(model)
            return model

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_folder, "save_weights", looking)
            return run("unlearn", self.words(method), self.folder)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One for all tests, with one cache."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


# ---------------------------------------------------------------- the pipeline


@pytest.mark.parametrize("method", METHODS)
def test_a_run_leaves_everything(workshop: Workshop, method: str) -> None:
    """Configuration, status, numbers, curve, texts, weights, card, provenance, report, figures."""
    folder = workshop.run(method)
    status = read(folder / "status.json")
    assert status["state"] == "finished"
    assert status["error"] is None
    assert "${" not in (folder / "config.yaml").read_text()
    assert f"method: {method}" in (folder / "config.yaml").read_text()
    assert read(folder / "metrics.json")["training"]["steps"] == 2
    assert read(folder / "provenance.json")["libraries"]["torch"]
    with (folder / "loss_curve.csv").open() as handle:
        assert [line["step"] for line in csv.DictReader(handle)] == ["0", "1"]
    for name in ("generations.jsonl", "evaluation_results.jsonl"):
        assert all(json.loads(line) for line in (folder / name).read_text().splitlines())
    assert method in (folder / "model" / "README.md").read_text()
    assert "<html" in (folder / "report.html").read_text()
    assert list((folder / "plots").glob("*.png"))
    assert not (folder / "checkpoint.safetensors").exists()
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_that_are_written_are_those_that_were_trained(workshop: Workshop, method: str) -> None:
    """As safetensors, with their tokenizer, and different from the target's."""
    folder = workshop.run(method) / "model"
    assert list(folder.glob("*.safetensors"))
    assert not list(folder.glob("*.bin"))
    loaded = logits(AutoModelForCausalLM.from_pretrained(folder))
    assert torch.equal(loaded, workshop.trained[method])
    assert not torch.equal(loaded, logits(AutoModelForCausalLM.from_pretrained(TARGET, dtype=torch.float32)))
    assert AutoTokenizer.from_pretrained(folder).eos_token == AutoTokenizer.from_pretrained(TARGET).eos_token


def test_the_adapter_is_written_too(workshop: Workshop) -> None:
    """On the target it makes the same model."""
    from peft import PeftModel

    folder = workshop.run("chunked_lora")
    target = AutoModelForCausalLM.from_pretrained(TARGET, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(target, folder / "adapter")
    torch.testing.assert_close(logits(adapted), workshop.trained["chunked_lora"], atol=1e-4, rtol=1e-4)
    assert not (workshop.run("grad_diff") / "adapter").exists()


def test_what_only_some_runs_have(workshop: Workshop) -> None:
    """The trace's blocks, the references, the tracker's files."""
    traced = workshop.run("layer_freeze")
    assert read(traced / "metrics.json")["trace"]["blocks"] == read(traced / "layers.json")["blocks"]
    assert list((traced / "wandb").rglob("*.wandb"))
    assert list((workshop.run("chunked_lora") / "csv").rglob("metrics.csv"))
    with_references = workshop.run("grad_diff")
    metrics = read(with_references / "metrics.json")
    assert metrics["target"].keys() == metrics["gold"].keys() == metrics["unlearned"].keys()
    assert (with_references / "evaluation" / "gold.json").exists()
    assert read(workshop.run("grad_ascent") / "metrics.json")["target"] is None


def test_a_finished_run_is_not_computed_again(workshop: Workshop) -> None:
    """Nothing is touched."""
    folder = workshop.run("grad_ascent")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ended = run("unlearn", workshop.words("grad_ascent"), workshop.folder)
    assert (ended.code, ended.out.strip()) == (0, f"already finished: {folder}")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_another_run_in_the_same_folder_is_refused(workshop: Workshop) -> None:
    """One line, and the run that is there stays finished."""
    folder = workshop.run("grad_ascent")
    ended = run("unlearn", [*workshop.words("grad_ascent"), "optimizer.lr=1"], workshop.folder)
    assert ended.code == 1
    assert ended.err.strip() == (
        f"error: {folder}: holds a run with another optimizer; choose a new folder or the same settings"
    )
    assert read(folder / "status.json")["state"] == "finished"


def test_the_report_compares_runs(workshop: Workshop) -> None:
    """Those of a folder, into another one."""
    for method in ("grad_ascent", "grad_diff"):
        workshop.run(method)
    ended = run("report", [f"runs={workshop.folder}", "out=compared"], workshop.folder)
    assert ended.code == 0, ended.err
    assert "grad_ascent" in (workshop.folder / "compared" / "report.html").read_text()
    assert "grad_diff" in (workshop.folder / "compared" / "comparison.csv").read_text()


# ---------------------------------------------------------------- multiruns


def test_a_multirun_ends_with_a_comparison(workshop: Workshop) -> None:
    """A folder a job."""
    words = ["-m", "method=grad_diff,grad_ascent", *SHORT, "logger=none", "save_model=false", "hydra.sweep.dir=sweep"]
    ended = run("unlearn", words, workshop.folder)
    assert ended.code == 0, ended.err
    for job in ("0-grad_diff", "1-grad_ascent"):
        assert read(workshop.folder / "sweep" / job / "status.json")["state"] == "finished"
        assert not (workshop.folder / "sweep" / job / "model").exists()
    assert "<html" in (workshop.folder / "sweep" / "report.html").read_text()
    assert "grad_ascent" in (workshop.folder / "sweep" / "comparison.csv").read_text()


def test_a_job_that_fails_does_not_stop_the_others(workshop: Workshop) -> None:
    """It is recorded, the others are compared, and the exit code tells."""
    words = ["-m", "method=grad_ascent", "scope=blocks", "scope.blocks=99,0", *SHORT, "logger=none"]
    ended = run("unlearn", [*words, "save_model=false", "hydra.sweep.dir=half"], workshop.folder)
    assert ended.code == 1
    failed, finished = (read(workshop.folder / "half" / f"{job}-grad_ascent" / "status.json") for job in (0, 1))
    assert failed["state"] == "failed"
    assert failed["error"] == "scope.blocks=99: this model's blocks are 0 to 7"
    assert f"error: 0-grad_ascent: {failed['error']}" in ended.err
    assert finished["state"] == "finished"
    assert (workshop.folder / "half" / "1-grad_ascent" / "metrics.json").exists()
    assert (workshop.folder / "half" / "report.html").exists()


# ---------------------------------------------------------------- interruptions

STEPS = 4


def interruptible(folder: str, cache: Path) -> list[str]:
    """A few steps, a checkpoint after each."""
    return [
        "method=grad_diff",
        *SHORT,
        "logger=none",
        f"trainer.max_steps={STEPS}",
        "trainer.checkpoint_every_seconds=0",
        "schedule.batch_rows=4",
        "optimizer.lr=1e-3",
        f"cache_dir={cache}",
        f"hydra.run.dir={folder}",
    ]


@pytest.fixture(scope="module")
def uninterrupted(workshop: Workshop) -> dict[str, Tensor]:
    """Weights of the run that nobody disturbed."""
    ended = run("unlearn", interruptible("whole", workshop.folder / "cache"), workshop.folder)
    assert ended.code == 0, ended.err
    return load_file(workshop.folder / "whole" / "model" / "model.safetensors")


def same_weights(folder: Path, expected: dict[str, Tensor]) -> None:
    """To the last bit; and the curve has each step once."""
    found = load_file(folder / "model" / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (folder / "loss_curve.csv").read_text() == (folder.parent / "whole" / "loss_curve.csv").read_text()


KILL_AFTER_STEP_1 = """
import os, signal
import torch
from unlearning.cli import unlearn
from unlearning.training.callbacks import CurveWriter

torch.set_num_threads(1)
original = CurveWriter.on_train_batch_end

def then_kill(self, trainer, module, *rest):
    original(self, trainer, module, *rest)
    if module.last_record.step == 1:
        os.kill(os.getpid(), signal.SIGKILL)

CurveWriter.on_train_batch_end = then_kill
unlearn()
"""


def test_a_killed_run_goes_on(workshop: Workshop, uninterrupted: dict[str, Tensor]) -> None:
    """kill -9 between two steps, then the same command."""
    words = interruptible("killed", workshop.folder / "cache")
    script = workshop.folder / "killed.py"
    script.write_text(KILL_AFTER_STEP_1)
    command = [sys.executable, str(script), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=workshop.folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert read(workshop.folder / "killed" / "status.json")["state"] == "running"
    assert run("unlearn", words, workshop.folder).code == 0
    same_weights(workshop.folder / "killed", uninterrupted)


@pytest.fixture
def ctrl_c_after_step_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As from a keyboard."""
    original = callbacks.CurveWriter.on_train_batch_end

    def then_interrupt(self: callbacks.CurveWriter, trainer: Any, module: Any, *rest: Any) -> None:
        original(self, trainer, module, *rest)
        if module.last_record.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.CurveWriter, "on_train_batch_end", then_interrupt)
        yield


@pytest.mark.usefixtures("ctrl_c_after_step_1")
def test_ctrl_c_says_how_to_go_on(
    workshop: Workshop, uninterrupted: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, and the command that is printed finishes the run."""
    ended = run("unlearn", interruptible("interrupted", workshop.folder / "cache"), workshop.folder)
    assert ended.code == 130
    assert read(workshop.folder / "interrupted" / "status.json")["state"] == "interrupted"
    (line,) = (line for line in ended.err.splitlines() if line.startswith("interrupted; to go on: "))
    name, *words = shlex.split(line.removeprefix("interrupted; to go on: "))
    assert name == "unlearn"
    assert read(workshop.folder / "interrupted" / "status.json")["resume"] == shlex.join([name, *words])
    # The hook interrupts after step 1 only, which is done.
    assert run("unlearn", words, workshop.folder).code == 0
    monkeypatch.undo()
    same_weights(workshop.folder / "interrupted", uninterrupted)


# ---------------------------------------------------------------- the other commands


def test_trace(workshop: Workshop) -> None:
    """Its layers file serves a run."""
    words = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1", "hydra.run.dir=traced"]
    assert run("trace", words, workshop.folder).code == 0
    layers = workshop.folder / "traced" / "layers.json"
    for name in ("effects.parquet", "report.html", "plots/trace_effects.png", "plots/trace_selection.png"):
        assert (workshop.folder / "traced" / name).exists()
    words = [*SHORT, "logger=none", "save_model=false", f"scope.layers={layers}", "hydra.run.dir=by_layers"]
    ended = run("unlearn", words, workshop.folder)
    assert ended.code == 0, ended.err
    used = read(workshop.folder / "by_layers" / "metrics.json")["trace"]["blocks"]
    assert used == read(layers)["blocks"]


def test_evaluate(workshop: Workshop) -> None:
    """A folder of weights that a run wrote."""
    model = workshop.run("grad_ascent") / "model"
    words = ["model=local", f"model.path={model}", "trainer=cpu", "logger=none", *SHORT_EVALUATION]
    ended = run("evaluate", [*words, "data.max_documents_per_task=1", "hydra.run.dir=scored"], workshop.folder)
    assert ended.code == 0, ended.err
    metrics = read(workshop.folder / "scored" / "evaluation" / "local.json")["metrics"]
    assert metrics == read(workshop.folder / "grad_ascent" / "metrics.json")["unlearned"]


def test_memorise_in_chosen_blocks(workshop: Workshop) -> None:
    """Knowledge is planted in one MLP; nothing else moves."""
    start = memorise.ASSETS / "gold"
    words = ["model=local", f"model.path={start}", "scope=blocks", "scope.blocks='3'", "trainer=cpu", "logger=none"]
    words += [*SHORT_EVALUATION, "trainer.max_steps=2", "data.max_documents_per_task=1", "hydra.run.dir=planted"]
    ended = run("memorise", words, workshop.folder)
    assert ended.code == 0, ended.err
    before, after = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (start, workshop.folder / "planted" / "model")
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "layers.3.mlp." in name}
    ended = run("memorise", [*words[:2], "scope=traced", "hydra.run.dir=refused"], workshop.folder)
    assert ended.code == 1
    assert "scope=traced: nothing is traced before memorising" in ended.err


def test_memorise(workshop: Workshop) -> None:
    """From random weights; the model can be loaded and scored."""
    ended = run("memorise", [*SMALL_WORLD, *SHORT_EVALUATION, "hydra.run.dir=memorised"], workshop.folder)
    assert ended.code == 0, ended.err
    folder = workshop.folder / "memorised"
    assert AutoModelForCausalLM.from_pretrained(folder / "model").config.num_hidden_layers == 2
    assert len(AutoTokenizer.from_pretrained(folder / "model")) == 400
    metrics = read(folder / "metrics.json")
    assert metrics["memorised"]
    assert metrics["training"]["rows"] > 0
    assert read(folder / "status.json")["state"] == "finished"


def test_the_sandbox_is_built_once(workshop: Workshop) -> None:
    """On demand into the cache, or beforehand by unlearn-memorise: the same weights."""
    words = [*SMALL_WORLD, *SHORT_EVALUATION, "trainer.max_steps=2"]
    ended = run("memorise", [*words, "assets=assets", "hydra.run.dir=building"], workshop.folder)
    assert ended.code == 0, ended.err
    made_of = read(workshop.folder / "assets" / "made_of.json")["settings"]
    words += ["method=grad_ascent", "cache_dir=small_cache", "save_model=false", "evaluation.references=false"]
    outputs = []
    for number in range(2):
        ended = run("unlearn", [*words, f"hydra.run.dir=small{number}"], workshop.folder)
        assert ended.code == 0, ended.err
        outputs.append(ended.out)
    assert ["building the sandbox" in out for out in outputs] == [True, False]
    (built,) = (workshop.folder / "small_cache" / "sandbox").iterdir()
    assert read(built / "made_of.json")["settings"] == made_of
    for name in ("target", "gold"):
        ours, theirs = (
            load_file(folder / name / "model.safetensors") for folder in (built, workshop.folder / "assets")
        )
        assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == torch.float16 for key in theirs)


def test_the_official_entry_point(tmp_path: Path) -> None:
    """Four arguments in, one checkpoint with its tokenizer out."""
    world = generate(WorldConfig(documents_per_task=1, nonmember_documents=1, known_entities=1, teaching_entities=1))
    for split, rows in (("forget", world.forget), ("retain", world.retain)):
        (tmp_path / split).mkdir()
        columns = {name: [getattr(row, name) for row in rows] for name in ("id", "input", "output", "task")}
        columns["split"] = [split] * len(rows)
        pq.write_table(pa.table(columns), tmp_path / split / f"{split}.parquet")
    folders = [str(tmp_path / name) for name in ("out", "forget", "retain")]
    submission.unlearn(str(TARGET), *folders, overrides=("trainer=cpu", "trainer.max_steps=1"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.isfinite(logits(model)).all()
    assert AutoTokenizer.from_pretrained(tmp_path / "out").eos_token_id == model.config.eos_token_id
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()
