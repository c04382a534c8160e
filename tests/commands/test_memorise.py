"""unlearn-memorise from the command line, and the sandbox's models that it builds."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT_EVALUATION, SandboxRuns, read
from unlearning.commands.stages.sandbox_models import ASSETS

pytestmark = pytest.mark.usefixtures("without_figures")
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


@pytest.mark.exhaustive
def test_memorise_in_chosen_layers(runs: SandboxRuns) -> None:
    """Knowledge is planted in one MLP, and no other weight changes."""
    start = ASSETS / "retrained"
    words = ["model=local", f"model.path={start}", "scope=layers", "scope.layers='3'", "trainer=cpu", "logger=none"]
    words += [*SHORT_EVALUATION, "trainer.max_steps=2", "data.max_documents_per_task=1", "hydra.run.dir=planted"]
    ended = run_command("memorise", words, runs.folder)
    assert ended.code == 0, ended.err
    before, after = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (start, runs.folder / "planted" / "model")
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "layers.3.mlp." in name}
    ended = run_command("memorise", [*words[:2], "scope=traced", "hydra.run.dir=refused"], runs.folder)
    assert ended.code == 1
    assert "scope=traced: nothing is traced before memorising" in ended.err


def test_memorise(runs: SandboxRuns) -> None:
    """A model with random weights memorises, and can be loaded and scored."""
    ended = run_command("memorise", [*SMALL_WORLD, *SHORT_EVALUATION, "hydra.run.dir=memorised"], runs.folder)
    assert ended.code == 0, ended.err
    folder = runs.folder / "memorised"
    assert AutoModelForCausalLM.from_pretrained(folder / "model").config.num_hidden_layers == 2
    assert len(AutoTokenizer.from_pretrained(folder / "model")) == 400
    metrics = read(folder / "metrics.json")
    assert metrics["memorised"]
    assert metrics["training"]["rows"] > 0
    assert set(read(folder / "provenance.json")["stage_seconds"]) == {"load", "memorise", "evaluate"}
    assert read(folder / "status.json")["state"] == "finished"


def test_the_sandbox_is_built_once(runs: SandboxRuns) -> None:
    """The models that are built on demand are those that unlearn-memorise builds beforehand."""
    words = [*SMALL_WORLD, *SHORT_EVALUATION, "trainer.max_steps=2"]
    ended = run_command("memorise", [*words, "assets=assets", "hydra.run.dir=building"], runs.folder)
    assert ended.code == 0, ended.err
    made_of = read(runs.folder / "assets" / "made_of.json")["settings"]
    words += ["method=grad_ascent", "cache_dir=small_cache", "save_model=false", "evaluation.references=false"]
    outputs = []
    for number in range(2):
        ended = run_command("unlearn", [*words, f"hydra.run.dir=small{number}"], runs.folder)
        assert ended.code == 0, ended.err
        outputs.append(ended.out)
    assert ["building the sandbox" in out for out in outputs] == [True, False]
    (built,) = (runs.folder / "small_cache" / "sandbox").iterdir()
    assert read(built / "made_of.json")["settings"] == made_of
    for name in ("target", "retrained"):
        ours, theirs = (load_file(folder / name / "model.safetensors") for folder in (built, runs.folder / "assets"))
        assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == torch.float16 for key in theirs)
