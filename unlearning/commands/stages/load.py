"""The first stage of a run: load the model that memorised the data."""

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.commands.stages.known import KnownInputs
from unlearning.commands.stages.load_pair import load_pair
from unlearning.commands.stages.sandbox_models import sandbox_folder
from unlearning.config.commands import CommonConfig
from unlearning.data.rows import Corpus


@dataclass(frozen=True)
class RunInputs:
    """What a run works on: the data, the target model and its tokenizer."""

    corpus: Corpus
    target_path: str
    """Folder or repository id that the model was loaded from."""
    retrained_path: str | None
    """Folder or repository id of the retrained model, which is loaded only when it is scored; None: there is none."""
    model: PreTrainedModel
    """The target model, which memorised the data. Unlearning changes its weights in place."""
    tokenizer: PreTrainedTokenizerBase


def load_inputs(config: CommonConfig, known: KnownInputs) -> RunInputs:
    """Load the target model of `read_inputs`. The sandbox's models are built first where they are not there yet.

    Raises InputError for a model that cannot be loaded.
    """
    path, retrained = model_paths(config)
    model, tokenizer = load_pair(path, config.model, config.trainer)
    return RunInputs(known.corpus, path, retrained, model, tokenizer)


def model_paths(config: CommonConfig) -> tuple[str, str | None]:
    """Return the folder or repository id of the target model and of the retrained model (None: there is none).

    Where model.path is null, these are the sandbox's models, which are built first if need be.
    """
    if config.model.path is not None:
        return config.model.path, config.model.retrained
    folder = sandbox_folder(config)
    return str(folder / "target"), config.model.retrained or str(folder / "retrained")
