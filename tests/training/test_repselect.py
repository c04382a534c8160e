"""RepSelect: the spectrum by hand, and the whole change of a tiny model against a plain restatement."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.reference.plain_training import row_means
from tests.tiny_models import tiny_model
from tests.training.golden import FORGET, RETAIN, plain
from unlearning.config.repselect import RepSelectConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trainer import TrainerConfig
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.layers import LayersScope
from unlearning.training import repselect as module
from unlearning.training.repselect import repselect, without_main_directions
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingRecord, TrainingTask

SETTINGS = RepSelectConfig(lora_lr=0.0, directions=0.5, lr=1e-3, repetitions=2, most_kl_nats=1e9)
PLAN = MixedSchedule(epochs=2, batch_rows=4).plan([len(row.input_ids) for row in FORGET], [9] * 13, 0, seed=2)


def test_the_spectrum_is_turned_over() -> None:
    """Singular values 8, 4, 2, 1 with the three greatest scaled: 2^2 / 8, 2^2 / 4, 2 and 1; directions stay."""
    left, right = (torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(n)))[0] for n in (0, 1))
    torch.manual_seed(0)
    found = without_main_directions(left @ torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0])) @ right.T, 0.75)
    expected = left @ torch.diag(torch.tensor([0.5, 1.0, 2.0, 1.0])) @ right.T
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert without_main_directions(torch.zeros(3, 2), 0.5).tolist() == [[0.0, 0.0]] * 3


def run(folder: Path, settings: RepSelectConfig) -> tuple[PreTrainedModel, TrainingRecord]:
    """Return a tiny model after RepSelect on the MLP of its second layer."""
    model = tiny_model("olmo")
    scoped: nn.Module = LayersScope("1", [ModuleKind.mlp]).apply(model, None)
    rows = TrainingRows(FORGET, (), RETAIN)
    task = TrainingTask(scoped, GradDiff(retain_weight=0.0), PLAN, rows, 0, None, 0, "repselect")  # type: ignore[arg-type]
    return model, repselect(task, settings, TrainerConfig(accelerator="cpu", pack_tokens=64), folder)


def test_the_change_is_that_of_the_restatement(tmp_path: Path) -> None:
    """Without adapters: twice 0.001 times the gradient of the first epoch's three batches, its spectrum turned over."""
    ours, record = run(tmp_path, SETTINGS)
    theirs = tiny_model("olmo")
    first = [step for step in PLAN if step.epoch == 0]
    assert record.steps == len(first) == 3
    sum(-row_means(theirs, plain([FORGET[row] for row in step.forget]), "left").mean() for step in first).backward()
    moved = dict(ours.named_parameters())
    for name, weight in theirs.named_parameters():
        if "layers.1.mlp" not in name:
            assert torch.equal(moved[name], weight)
            continue
        assert weight.grad is not None
        u, s, v = torch.linalg.svd(weight.grad, full_matrices=False)
        turned = torch.cat([s[15] ** 2 / s[:16], s[16:]])
        assert len(s) == 32
        torch.testing.assert_close(moved[name], weight - 2e-3 * (u * turned) @ v, atol=2e-6, rtol=0)


def test_a_step_that_goes_too_far_is_taken_back(tmp_path: Path) -> None:
    """With no room for any KL the weights are bitwise those at the start, and the adapters have left nothing."""
    model, _ = run(tmp_path, replace(SETTINGS, lora_lr=0.1, lr=10.0, most_kl_nats=1e-6))
    expected = tiny_model("olmo").state_dict()
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == [
        name for name in expected if "layers.1.mlp" in name
    ]


def test_adapters_change_the_gradient_and_a_finished_run_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the adapters know is another gradient; the second time the weights come from the checkpoint."""
    bare, _ = run(tmp_path / "bare", SETTINGS)
    known, record = run(tmp_path / "known", replace(SETTINGS, lora_lr=1.0))
    assert not torch.equal(
        bare.get_parameter("model.layers.1.mlp.up_proj.weight"),
        known.get_parameter("model.layers.1.mlp.up_proj.weight"),
    )
    monkeypatch.setattr(module, "summed_gradients", None)
    again, second = run(tmp_path / "known", replace(SETTINGS, lora_lr=1.0))
    assert second == record
    assert all(map(torch.equal, again.parameters(), known.parameters()))
