"""The first stage of a run: read the data, and load the model that memorised it."""

from dataclasses import dataclass

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.commands.stages.load_pair import load_pair
from unlearning.commands.stages.sandbox_models import sandbox_folder
from unlearning.config.commands import CommonConfig
from unlearning.context import on_main_process
from unlearning.data.load import load_corpus
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.models.load import require_folder
from unlearning.training.hardware import require_hardware


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


def load_inputs(config: CommonConfig) -> RunInputs:
    """Read the data and load the target model. The sandbox's models are built first where they are not there yet.

    Raises InputError for data or a model that cannot be used, and for hardware that is not there.
    """
    require_hardware(config.trainer)
    if config.model.path is None and config.model.tokenizer is not None:
        raise InputError(f"model.tokenizer={config.model.tokenizer}: the sandbox has its own; give model.path too")
    corpus = load_corpus(config.data)
    print_notes(corpus)
    path, retrained = model_paths(config)
    if retrained is not None:
        # The retrained model is loaded much later; a folder that is missing is refused now.
        require_folder(retrained, "model.retrained")
    model, tokenizer = load_pair(path, config.model, config.trainer)
    return RunInputs(corpus, path, retrained, model, tokenizer)


def print_notes(corpus: Corpus) -> None:
    """Print, once in all processes, what a user should know of how the rows were read."""
    for note in corpus.notes if on_main_process() else ():
        Console().print(f"  {note}", highlight=False, markup=False, soft_wrap=True)


def model_paths(config: CommonConfig) -> tuple[str, str | None]:
    """Return the folder or repository id of the target model and of the retrained model (None: there is none).

    Where model.path is null, these are the sandbox's models, which are built first if need be.
    """
    if config.model.path is not None:
        return config.model.path, config.model.retrained
    folder = sandbox_folder(config)
    return str(folder / "target"), config.model.retrained or str(folder / "retrained")
