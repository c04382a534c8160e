"""A small but whole run of each method: what it writes, and what it does with a folder that exists."""

import csv
import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from omegaconf import OmegaConf
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.command_line import run_command
from tests.commands.sandbox_runs import TARGET, SandboxRuns, logits, read
from tests.empty_figures import empty_figures
from tests.rotation import left_out
from unlearning.config.location import conf_dir

REPRESENTATIVES = {"chunked_lora", "grad_ascent", "grad_diff", "layer_freeze"}
"""Methods whose runs leave other files: of adapters, of two models more, of a trace."""
METHODS = [
    pytest.param(name, marks=left_out(name not in REPRESENTATIVES))
    for name in sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_leaves_everything(runs: SandboxRuns, method: str) -> None:
    """The folder has configuration, status, numbers, curve, texts, weights, card, provenance, report and figures."""
    folder = runs.run(method)
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
        lines = (folder / name).read_text().splitlines()
        assert lines, name
        assert all(json.loads(line) for line in lines)
    assert method in (folder / "model" / "README.md").read_text()
    assert "<html" in (folder / "report.html").read_text()
    assert list((folder / "plots").glob("*.png"))
    assert not (folder / "checkpoint").exists()
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_that_are_written_are_those_that_were_trained(runs: SandboxRuns, method: str) -> None:
    """They are safetensors, have their tokenizer beside them, and differ from the target's weights."""
    folder = runs.run(method) / "model"
    assert list(folder.glob("*.safetensors"))
    assert not list(folder.glob("*.bin"))
    loaded = logits(AutoModelForCausalLM.from_pretrained(folder))
    assert torch.equal(loaded, runs.trained[method])
    assert not torch.equal(loaded, logits(AutoModelForCausalLM.from_pretrained(TARGET, dtype=torch.float32)))
    assert AutoTokenizer.from_pretrained(folder).eos_token == AutoTokenizer.from_pretrained(TARGET).eos_token


def test_the_adapter_is_written_too(runs: SandboxRuns) -> None:
    """The adapter on the target is the same model as the merged weights."""
    from peft import PeftModel

    folder = runs.run("chunked_lora")
    target = AutoModelForCausalLM.from_pretrained(TARGET, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(target, folder / "adapter")
    torch.testing.assert_close(logits(adapted), runs.trained["chunked_lora"], atol=1e-4, rtol=1e-4)
    assert not (runs.run("grad_diff") / "adapter").exists()


def test_what_only_some_runs_have(runs: SandboxRuns) -> None:
    """Only some runs trace, evaluate references or log to a file."""
    traced = runs.run("layer_freeze")
    assert read(traced / "metrics.json")["trace"]["layers"] == read(traced / "layers.json")["layers"]
    assert not (traced / "wandb").exists()
    assert list((runs.run("chunked_lora") / "csv").rglob("metrics.csv"))
    with_references = runs.run("grad_diff")
    metrics = read(with_references / "metrics.json")
    assert metrics["target"].keys() == metrics["retrained"].keys() == metrics["unlearned"].keys()
    assert (with_references / "evaluation" / "retrained.json").exists()
    assert read(runs.run("grad_ascent") / "metrics.json")["target"] is None


@pytest.mark.exhaustive
def test_a_run_is_tracked(runs: SandboxRuns) -> None:
    """The offline file of W&B is in the run's folder; `tests/runs/test_tracking.py` reads such a file."""
    assert list((runs.run("kl_min") / "wandb").rglob("*.wandb"))


def test_a_run_says_which_tuned_numbers_joined(runs: SandboxRuns) -> None:
    """The terminal, the configuration, the provenance and the report name the files and the numbers in force."""
    folder = runs.run("chunked_lora")
    files = ["sandbox_chunked", "sandbox_lora", "sandbox_chunked_lora"]
    printed = " ".join(runs.printed["chunked_lora"].split())
    assert "tuned for sandbox: sandbox_chunked sets schedule.chunk_rows=120; sandbox_lora sets" in printed
    assert "(tuned=none turns this off)" in printed
    assert list(OmegaConf.load(folder / "config.yaml").tuned.files) == files
    assert read(folder / "provenance.json")["tuned"] == files
    report = (folder / "report.html").read_text()
    assert all(name in report for name in files)


def test_a_finished_run_is_not_computed_again(runs: SandboxRuns) -> None:
    """No file is changed."""
    folder = runs.run("grad_ascent")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ended = run_command("unlearn", runs.words("grad_ascent"), runs.folder)
    assert (ended.code, ended.out.strip()) == (0, f"already finished: {folder}")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_another_run_in_the_same_folder_is_refused(runs: SandboxRuns) -> None:
    """It is refused in one line, and the run that is there stays finished."""
    folder = runs.run("grad_ascent")
    ended = run_command("unlearn", [*runs.words("grad_ascent"), "optimizer.lr=1"], runs.folder)
    assert ended.code == 1
    assert ended.err.strip() == (
        f"error: {folder}: holds a run with another optimizer.lr; choose a new folder or the same settings"
    )
    assert read(folder / "status.json")["state"] == "finished"


def test_the_report_compares_runs(runs: SandboxRuns, tmp_path: Path) -> None:
    """It finds the runs of a folder at any depth, and writes into the other folder alone."""
    for method in ("grad_ascent", "grad_diff"):
        copytree(runs.run(method), tmp_path / "runs" / "deep" / method)
    with empty_figures():
        ended = run_command("report", ["runs=runs", "out=compared"], tmp_path)
    assert ended.code == 0, ended.err
    assert "grad_ascent" in (tmp_path / "compared" / "report.html").read_text()
    assert "grad_diff" in (tmp_path / "compared" / "comparison.csv").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "compared"}
