"""Tracing, scoring and memorising from the command line, and the entry point for a submission."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.command_line import run_command
from tests.commands.workshop import SHORT, SHORT_EVALUATION, TARGET, Workshop, logits, read
from unlearning import submission
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.data import WorldConfig
from unlearning.sandbox.world import generate

SMALL_WORLD = [
    "data.world.documents_per_task=1",
    "data.world.nonmember_documents=2",
    "data.world.known_entities=4",
    "data.world.teaching_entities=1",
    "model.layers=2",
    "model.width=32",
    "model.heads=2",
    "model.vocabulary=400",
    "recipe.epochs=1",
    "recipe.batch_rows=8",
    "trainer=cpu",
    "trainer.pack_tokens=512",
    "logger=none",
]


def test_trace(workshop: Workshop) -> None:
    """Its layers file serves a run."""
    words = ["trainer=cpu", "logger=none", "trace.facts=1", "trace.draws=1", "hydra.run.dir=traced"]
    assert run_command("trace", words, workshop.folder).code == 0
    layers = workshop.folder / "traced" / "layers.json"
    for name in ("effects.parquet", "report.html", "plots/trace_effects.png", "plots/trace_selection.png"):
        assert (workshop.folder / "traced" / name).exists()
    words = [*SHORT, "logger=none", "save_model=false", f"scope.layers_file={layers}", "hydra.run.dir=by_layers"]
    ended = run_command("unlearn", words, workshop.folder)
    assert ended.code == 0, ended.err
    used = read(workshop.folder / "by_layers" / "metrics.json")["trace"]["layers"]
    assert used == read(layers)["layers"]


def test_evaluate(workshop: Workshop) -> None:
    """A folder of weights that a run wrote."""
    model = workshop.run("grad_ascent") / "model"
    words = ["model=local", f"model.path={model}", "trainer=cpu", "logger=none", *SHORT_EVALUATION]
    ended = run_command("evaluate", [*words, "data.max_documents_per_task=1", "hydra.run.dir=scored"], workshop.folder)
    assert ended.code == 0, ended.err
    metrics = read(workshop.folder / "scored" / "evaluation" / "local.json")["metrics"]
    assert metrics == read(workshop.folder / "grad_ascent" / "metrics.json")["unlearned"]


def test_memorise_in_chosen_layers(workshop: Workshop) -> None:
    """Knowledge is planted in one MLP; nothing else moves."""
    start = ASSETS / "retrained"
    words = ["model=local", f"model.path={start}", "scope=layers", "scope.layers='3'", "trainer=cpu", "logger=none"]
    words += [*SHORT_EVALUATION, "trainer.max_steps=2", "data.max_documents_per_task=1", "hydra.run.dir=planted"]
    ended = run_command("memorise", words, workshop.folder)
    assert ended.code == 0, ended.err
    before, after = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (start, workshop.folder / "planted" / "model")
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "layers.3.mlp." in name}
    ended = run_command("memorise", [*words[:2], "scope=traced", "hydra.run.dir=refused"], workshop.folder)
    assert ended.code == 1
    assert "scope=traced: nothing is traced before memorising" in ended.err


def test_memorise(workshop: Workshop) -> None:
    """From random weights; the model can be loaded and scored."""
    ended = run_command("memorise", [*SMALL_WORLD, *SHORT_EVALUATION, "hydra.run.dir=memorised"], workshop.folder)
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
    ended = run_command("memorise", [*words, "assets=assets", "hydra.run.dir=building"], workshop.folder)
    assert ended.code == 0, ended.err
    made_of = read(workshop.folder / "assets" / "made_of.json")["settings"]
    words += ["method=grad_ascent", "cache_dir=small_cache", "save_model=false", "evaluation.references=false"]
    outputs = []
    for number in range(2):
        ended = run_command("unlearn", [*words, f"hydra.run.dir=small{number}"], workshop.folder)
        assert ended.code == 0, ended.err
        outputs.append(ended.out)
    assert ["building the sandbox" in out for out in outputs] == [True, False]
    (built,) = (workshop.folder / "small_cache" / "sandbox").iterdir()
    assert read(built / "made_of.json")["settings"] == made_of
    for name in ("target", "retrained"):
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
