"""What makes a checkpoint another run's: the weights that training starts from are part of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from unlearning import config as schemas
from unlearning.cli import conf_dir
from unlearning.commands.stages import memorise as memorise_module
from unlearning.commands.stages.memorise import memorise
from unlearning.commands.stages.load import Subject, load_subject
from unlearning.training import stage
from unlearning.training.fit import TrainingTask


class Started(Exception):  # noqa: N818
    """Training would begin; its message is the run's identity."""


def begin(task: TrainingTask, *_: object) -> None:
    """In the place of training."""
    raise Started(task.identity)


def sandbox(command: str, *words: str) -> object:
    """The command's configuration on a small part of the sandbox."""
    schemas.register()
    common = ["data.max_documents_per_task=1", "trainer=cpu", "logger=none", *words]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_object(compose(command, common))


def nudge(subject: Subject) -> None:
    """One weight of the last layer, by as little as can be."""
    weight = subject.model.model.layers[-1].mlp.down_proj.weight
    with torch.no_grad():
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))


def unlearning_of(monkeypatch: pytest.MonkeyPatch, folder: Path, nudged: bool) -> str:
    """The identity of a run that trains the first layer alone."""
    config = sandbox("unlearn", "method=grad_diff", "scope=layers", "scope.layers='0'")
    assert isinstance(config, schemas.UnlearnConfig)
    subject = load_subject(config)
    if nudged:
        nudge(subject)
    monkeypatch.setattr(stage, "fit", begin)
    with pytest.raises(Started) as started:
        stage.unlearn_model(config, subject.model, subject.tokenizer, subject.corpus, None, folder, [])
    return str(started.value)


def memorising_of(monkeypatch: pytest.MonkeyPatch, folder: Path, nudged: bool) -> str:
    """The identity of a run of unlearn-memorise on the first layer."""
    config = sandbox("memorise")
    assert isinstance(config, schemas.MemoriseConfig)
    subject = load_subject(config)
    if nudged:
        nudge(subject)
    monkeypatch.setattr(memorise_module, "fit", begin)
    prompt, scope = config.prompt, schemas.LayersScopeConfig(layers="0")
    with pytest.raises(Started) as started:
        memorise(subject.model, subject.tokenizer, subject.corpus, True, config, prompt, scope, folder, [])
    return str(started.value)


@pytest.mark.parametrize("identity", [unlearning_of, memorising_of])
def test_a_checkpoint_belongs_to_the_weights_it_started_from(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    identity: Callable[[pytest.MonkeyPatch, Path, bool], str],
) -> None:
    """Loaded again they are the same; one frozen weight, of which a checkpoint has nothing, makes another run."""
    first, again, other = (identity(monkeypatch, tmp_path, nudged) for nudged in (False, False, True))
    assert first == again != other
