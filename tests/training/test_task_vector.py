"""Task arithmetic by hand: W = start + scale * (trained - start); and the method on the sandbox, interrupted too."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from tests.tiny_models import tiny_model
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.commands import UnlearnConfig
from unlearning.config.location import conf_dir
from unlearning.config.model import ModelConfig
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.errors import Interrupted
from unlearning.models.load import load_model
from unlearning.runs.folder import merged
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import LayersScope
from unlearning.training import callbacks
from unlearning.training.task_vector import keep_start, scale_update, scaled_update
from unlearning.training.unlearn import unlearn_model


def two_weights() -> nn.Linear:
    """Return a layer whose weight (1, 2) = [1, 2] moves, and whose bias [5] does not."""
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0]]))
        model.bias.copy_(torch.tensor([5.0]))
    model.bias.requires_grad_(False)
    return model


def trained(model: nn.Linear) -> None:
    """Set the weight to the trained one, [1.5, 1]."""
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.5, 1.0]]))


@pytest.mark.parametrize(
    ("scale", "expected"), [(-1.0, [0.5, 3.0]), (0.5, [1.25, 1.5]), (2.0, [2.0, 0.0]), (-2.0, [0.0, 4.0])]
)
def test_by_hand(scale: float, expected: list[float], tmp_path: Path) -> None:
    """The update is [0.5, -1]: at scale -1 the weights become [1 - 0.5, 2 + 1]; the frozen bias stays 5."""
    model = two_weights()
    with scaled_update(model, tmp_path, scale):
        trained(model)
    assert model.weight.tolist() == [expected]
    assert model.bias.tolist() == [5.0]
    assert not any(tmp_path.iterdir())


def test_scale_one_writes_nothing(tmp_path: Path) -> None:
    """No file is written at any moment, and the trained weights stay to the last bit."""
    model = two_weights()
    with scaled_update(model, tmp_path, 1.0):
        assert not any(tmp_path.iterdir())
        trained(model)
    assert model.weight.tolist() == [[1.5, 1.0]]


def test_a_run_that_was_interrupted_and_resumed(tmp_path: Path) -> None:
    """The second attempt starts from the untouched weights, loads a checkpoint and ends as one attempt would.

    First attempt: [1, 2] moves to [1.25, 2] and stops. Second: [1, 2] again, restored to [1.25, 2], trained to
    [1.5, 1]; negated [0.5, 3]. Had the file been written after the checkpoint was loaded, it would be [1, 3].
    """
    checkpoint = torch.tensor([[1.25, 2.0]])

    def first_attempt(model: nn.Linear) -> None:
        with scaled_update(model, tmp_path, -1.0):
            assert [path.name for path in tmp_path.iterdir()] == ["start"]
            model.weight.data.copy_(checkpoint)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first_attempt(two_weights())
    assert not any(tmp_path.iterdir())
    model = two_weights()
    with scaled_update(model, tmp_path, -1.0):
        model.weight.data.copy_(checkpoint)
        trained(model)
    assert model.weight.tolist() == [[0.5, 3.0]]


def test_a_file_that_a_killed_attempt_left_is_replaced(tmp_path: Path) -> None:
    """The file may be another run's; the start is the weights of this moment."""
    other = two_weights()
    trained(other)
    keep_start(other, tmp_path / "start")
    model = two_weights()
    with scaled_update(model, tmp_path, -1.0):
        trained(model)
    assert model.weight.tolist() == [[0.5, 3.0]]


def test_half_precision_keeps_its_type(tmp_path: Path) -> None:
    """In bfloat16, 256 - 1.5 * (258 - 256) = 253 is exact: it has 8 bits."""
    model = two_weights().to(torch.bfloat16)
    model.weight.data.fill_(256.0)
    keep_start(model, tmp_path / "start")
    model.weight.data.fill_(258.0)
    scale_update(model, tmp_path / "start", -1.5)
    assert model.weight.dtype is torch.bfloat16
    assert model.weight.tolist() == [[253.0, 253.0]]


def test_only_the_scope_moves(tmp_path: Path) -> None:
    """Frozen weights stay, and are not in the file."""
    model = tiny_model("olmo")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    scoped = LayersScope("1").apply(model, None)
    with scaled_update(scoped, tmp_path, -1.0), torch.no_grad():
        for parameter in scoped.parameters():
            if parameter.requires_grad:
                parameter.add_(0.25)
    for name, parameter in model.named_parameters():
        shift = -0.25 if "layers.1.mlp" in name else 0.0
        torch.testing.assert_close(parameter, before[name] + shift, msg=name)


@pytest.mark.parametrize("scale", [-1.0, 0.5])
def test_adapters_are_scaled_and_nothing_is_written(scale: float, tmp_path: Path) -> None:
    """Merged weights are start + scale * (trained - start), whatever A and B are."""
    start = tiny_model("llama")
    plain = {name: parameter.detach().clone() for name, parameter in start.named_parameters()}
    merged: list[dict[str, Tensor]] = []
    for factor in (1.0, scale):
        torch.manual_seed(0)
        scoped = LoraScope(rank=2, alpha=4.0, layers="0").apply(tiny_model("llama"), None)
        with scaled_update(scoped, tmp_path, factor), torch.no_grad():
            assert not any(tmp_path.iterdir())
            for name, parameter in scoped.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(len(name)))
        merged.append(dict(scoped.merge_and_unload().named_parameters()))  # type: ignore[operator]
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(merged[0][name], plain[name])
    for name, value in merged[1].items():
        torch.testing.assert_close(value, plain[name] + scale * (merged[0][name] - plain[name]), msg=name)


def load_shipped() -> nn.Module:
    """Return the sandbox's target."""
    return load_model(str(ASSETS / "target"), ModelConfig(name="sandbox"), torch.float32)


def sandbox_weights(run_dir: Path, *words: str) -> dict[str, Tensor]:
    """Return the weights of the shipped model after a few steps of the method, adapters merged."""
    register()
    given = ["method=task_arithmetic", "data.max_documents_per_task=1", "schedule.epochs=3", "schedule.batch_rows=4"]
    given += ["optimizer.lr=1e-3", "trainer=cpu", "logger=none", "trainer.checkpoint_every_seconds=0", *words]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = settings_of(compose("unlearn", given))
    assert isinstance(config, UnlearnConfig)
    inputs = load_inputs(config, read_inputs(config))
    run_dir.mkdir(exist_ok=True)
    unlearned = unlearn_model(config, inputs.model, inputs.tokenizer, inputs.corpus, None, run_dir, [])
    assert not (run_dir / "start").exists()
    return {name: weight.detach() for name, weight in merged(unlearned.model).named_parameters()}


@pytest.mark.exhaustive
@pytest.mark.parametrize("scope", ["all", "lora"])
def test_the_method_negates_what_it_learnt(scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are start - (trained - start); after Ctrl-C the same command ends with the same, to the last bit."""
    start = {name: weight.detach() for name, weight in load_shipped().named_parameters()}
    trained = sandbox_weights(tmp_path / "trained", f"scope={scope}", "update_scale=1")
    negated = sandbox_weights(tmp_path / "negated", f"scope={scope}")
    moved_by = {name: float((trained[name] - start[name]).abs().max()) for name in start}
    assert max(moved_by.values()) > 1e-3
    for name, value in negated.items():
        torch.testing.assert_close(value, 2 * start[name] - trained[name], msg=name)
    original = callbacks.CurveWriter.on_train_batch_end

    def then_interrupt(self: callbacks.CurveWriter, trainer: Any, module: Any, *rest: Any) -> None:
        original(self, trainer, module, *rest)
        if module.last_record.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(callbacks.CurveWriter, "on_train_batch_end", then_interrupt)
    with pytest.raises(Interrupted):
        sandbox_weights(tmp_path / "cut", f"scope={scope}")
    monkeypatch.undo()
    resumed = sandbox_weights(tmp_path / "cut", f"scope={scope}")
    assert all(torch.equal(resumed[name], negated[name]) for name in negated)
