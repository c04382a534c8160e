"""A checkpoint belongs to a run, and the weights that training starts from are part of the run's identity."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from unlearning.commands.stages import memorise as memorise_module
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import RunInputs, load_inputs
from unlearning.commands.stages.memorise import memorise
from unlearning.config.commands import MemoriseConfig, UnlearnConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.scope import LayersScopeConfig
from unlearning.config.settings import settings_of
from unlearning.training import unlearn as training_unlearn
from unlearning.training.task import TrainingTask


class Started(Exception):  # noqa: N818
    """Raised where training would begin; its message is the run's identity."""


def begin(task: TrainingTask, *_: object) -> None:
    """Raise Started in place of training."""
    raise Started(task.identity)


def sandbox(command: str, *words: str) -> object:
    """Return the command's configuration on a small part of the sandbox."""
    register()
    common = ["data.max_documents_per_task=1", "trainer=cpu", "logger=none", *words]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings_of(compose(command, common))


def nudge(inputs: RunInputs) -> None:
    """Change one weight of the last layer by the smallest possible step."""
    weight = inputs.model.model.layers[-1].mlp.down_proj.weight
    with torch.no_grad():
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))


def unlearning_of(monkeypatch: pytest.MonkeyPatch, folder: Path, nudged: bool) -> str:
    """Return the identity of a run that trains the first layer alone."""
    config = sandbox("unlearn", "method=grad_diff", "scope=layers", "scope.layers='0'")
    assert isinstance(config, UnlearnConfig)
    inputs = load_inputs(config, read_inputs(config))
    if nudged:
        nudge(inputs)
    monkeypatch.setattr(training_unlearn, "fit", begin)
    with pytest.raises(Started) as started:
        training_unlearn.unlearn_model(config, inputs.model, inputs.tokenizer, inputs.corpus, None, folder, [])
    return str(started.value)


def memorising_of(monkeypatch: pytest.MonkeyPatch, folder: Path, nudged: bool) -> str:
    """Return the identity of a run of unlearn-memorise on the first layer."""
    config = sandbox("memorise")
    assert isinstance(config, MemoriseConfig)
    inputs = load_inputs(config, read_inputs(config))
    if nudged:
        nudge(inputs)
    monkeypatch.setattr(memorise_module, "fit", begin)
    prompt, scope = config.prompt, LayersScopeConfig(layers="0")
    with pytest.raises(Started) as started:
        memorise(inputs.model, inputs.tokenizer, inputs.corpus, True, config, prompt, scope, folder, [])
    return str(started.value)


@pytest.mark.by_default("unlearning_of")
@pytest.mark.parametrize("identity", [unlearning_of, memorising_of])
def test_a_checkpoint_belongs_to_the_weights_it_started_from(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    identity: Callable[[pytest.MonkeyPatch, Path, bool], str],
) -> None:
    """The same weights give the same identity; one changed weight, though frozen, gives another."""
    first, again, other = (identity(monkeypatch, tmp_path, nudged) for nudged in (False, False, True))
    assert first == again != other
