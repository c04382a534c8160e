"""What a run is about: its data, and the model that memorised it."""

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.commands.memorise import sandbox_folder
from unlearning.config import CommonConfig
from unlearning.data.readers import load_corpus
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.models.load import load_model, load_tokenizer, require_folder
from unlearning.training.hardware import require_hardware
from unlearning.training.trainer import weights_dtype


@dataclass(frozen=True)
class Subject:
    """What a run is about: the data and the model that memorised it."""

    corpus: Corpus
    path: str
    retrained_path: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_subject(config: CommonConfig) -> Subject:
    """Read the data and load the target, building the sandbox's models where they are not there yet.

    Raises InputError for data or a model that cannot be used.
    """
    require_hardware(config.trainer)
    if config.model.path is None and config.model.tokenizer is not None:
        raise InputError(f"model.tokenizer={config.model.tokenizer}: the sandbox has its own; give model.path too")
    corpus = load_corpus(config.data)
    path, retrained = model_paths(config)
    if retrained is not None:
        require_folder(retrained, "model.retrained")  # it is loaded only when it is scored
    tokenizer = load_tokenizer(path, config.model)
    model = load_model(path, config.model, weights_dtype(config.trainer))
    return Subject(corpus, path, retrained, model, tokenizer)


def model_paths(config: CommonConfig) -> tuple[str, str | None]:
    """Folder or repository of the target and of the retrained model, if any. The sandbox's are built first."""
    if config.model.path is not None:
        return config.model.path, config.model.retrained
    folder = sandbox_folder(config)
    return str(folder / "target"), config.model.retrained or str(folder / "retrained")
