"""A run of each method, tiny but whole: what it leaves behind, and what it does with what is there."""

import csv
import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.command_line import run_command
from tests.commands.workshop import TARGET, Workshop, logits, read
from unlearning.config.location import conf_dir

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))


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
        lines = (folder / name).read_text().splitlines()
        assert lines, name
        assert all(json.loads(line) for line in lines)
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
    """The trace's layers, the references, the tracker's files."""
    traced = workshop.run("layer_freeze")
    assert read(traced / "metrics.json")["trace"]["layers"] == read(traced / "layers.json")["layers"]
    assert list((traced / "wandb").rglob("*.wandb"))
    assert list((workshop.run("chunked_lora") / "csv").rglob("metrics.csv"))
    with_references = workshop.run("grad_diff")
    metrics = read(with_references / "metrics.json")
    assert metrics["target"].keys() == metrics["retrained"].keys() == metrics["unlearned"].keys()
    assert (with_references / "evaluation" / "retrained.json").exists()
    assert read(workshop.run("grad_ascent") / "metrics.json")["target"] is None


def test_a_finished_run_is_not_computed_again(workshop: Workshop) -> None:
    """Nothing is touched."""
    folder = workshop.run("grad_ascent")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ended = run_command("unlearn", workshop.words("grad_ascent"), workshop.folder)
    assert (ended.code, ended.out.strip()) == (0, f"already finished: {folder}")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_another_run_in_the_same_folder_is_refused(workshop: Workshop) -> None:
    """One line, and the run that is there stays finished."""
    folder = workshop.run("grad_ascent")
    ended = run_command("unlearn", [*workshop.words("grad_ascent"), "optimizer.lr=1"], workshop.folder)
    assert ended.code == 1
    assert ended.err.strip() == (
        f"error: {folder}: holds a run with another optimizer; choose a new folder or the same settings"
    )
    assert read(folder / "status.json")["state"] == "finished"


def test_the_report_compares_runs(workshop: Workshop, tmp_path: Path) -> None:
    """Those of a folder, at any depth, into another one, and nothing beside it."""
    for method in ("grad_ascent", "grad_diff"):
        copytree(workshop.run(method), tmp_path / "runs" / "deep" / method)
    ended = run_command("report", ["runs=runs", "out=compared"], tmp_path)
    assert ended.code == 0, ended.err
    assert "grad_ascent" in (tmp_path / "compared" / "report.html").read_text()
    assert "grad_diff" in (tmp_path / "compared" / "comparison.csv").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "compared"}
