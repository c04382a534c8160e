"""unlearn-merge on the sandbox, from the command line."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM

from tests.command_line import run_command
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.model import ModelConfig
from unlearning.models.load import load_model
from unlearning.scopes.adapters import LoraScope

pytestmark = pytest.mark.usefixtures("without_figures")


def test_the_command(tmp_path: Path) -> None:
    """It leaves scores, a report, a model that loads, and a merged adapter with the same logits."""
    target = str(ASSETS / "target")
    loading = ModelConfig(name="sandbox")
    for name, seed in (("a", 0), ("b", 1)):
        torch.manual_seed(seed)
        scoped = LoraScope(rank=2, alpha=4.0, layers="0-1").apply(load_model(target, loading, torch.float32), None)
        for parameter_name, parameter in scoped.named_parameters():
            if "lora_B" in parameter_name:
                nn.init.normal_(parameter, 0.0, 0.05)
        scoped.save_pretrained(tmp_path / name / "adapter")  # type: ignore[operator]
    words = ["adapters=[a,b]", "trainer=cpu", "logger=none", "data.max_documents_per_task=1", "hydra.run.dir=out"]
    words += ["evaluation.references=false", "evaluation.max_new_tokens=4", "evaluation.max_questions=4"]
    ended = run_command("merge", words, tmp_path)
    assert ended.code == 0, ended.err
    out = tmp_path / "out"
    record = json.loads((out / "metrics.json").read_text())
    assert 0 <= record["unlearned"]["retain_regurgitation"] <= 1
    assert record["training"]["steps"] == 0
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    assert json.loads((out / "evaluation" / "unlearned.json").read_text())["metrics"] == record["unlearned"]
    assert "merge" in (out / "report.html").read_text()
    whole = AutoModelForCausalLM.from_pretrained(out / "model").eval()
    model = load_model(target, loading, torch.float32)
    tokens = torch.arange(5, 25)[None]
    with torch.no_grad():
        before = model(tokens).logits.clone()
        adapted = PeftModel.from_pretrained(model, out / "adapter")(tokens).logits
        torch.testing.assert_close(whole(tokens).logits, adapted, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(before, adapted, atol=1e-2)


def test_the_command_refuses(tmp_path: Path) -> None:
    """A missing adapter is refused in one line, and nothing is written."""
    ended = run_command("merge", ["adapters=[a,b]", "logger=none"], tmp_path)
    assert ended.code == 1
    assert ended.err.strip() == "error: adapters=a: no such folder"
    assert not any(tmp_path.iterdir())
