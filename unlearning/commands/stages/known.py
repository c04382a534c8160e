"""What a run works on, as far as it is known before any weights are read."""

from dataclasses import dataclass

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.commands.stages.memorise import corpus_tokenizer, new_model
from unlearning.commands.stages.sandbox_models import sandbox_place
from unlearning.config.commands import CommonConfig
from unlearning.config.data import sandbox_world
from unlearning.context import on_main_process
from unlearning.data.load import load_corpus
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.models.load import load_tokenizer, require_loadable
from unlearning.models.match import require_match
from unlearning.models.skeleton import load_skeleton, without_weights
from unlearning.sandbox.world import generate
from unlearning.training.hardware import require_hardware
from unlearning.training.trainer import weights_dtype


@dataclass(frozen=True)
class KnownInputs:
    """The data of a run, and its models without their weights."""

    corpus: Corpus
    target_path: str
    """Folder or repository id of the target model; for one that is made first, where it will be."""
    skeleton: PreTrainedModel
    """The target model, or the model that is to memorise, on the meta device."""
    retrained: PreTrainedModel | None
    """The retrained model, likewise; None: there is none."""
    tokenizer: PreTrainedTokenizerBase


def read_inputs(config: CommonConfig, weights_needed: bool = True) -> KnownInputs:
    """Read the data, the tokenizer and the shapes of the models. Sandbox models that are not there yet are not built.

    Without `weights_needed`, a model's folder need not have any weights. Raises InputError for data or models that
    cannot be used, a tokenizer with more tokens than embeddings, and hardware that is not there.
    """
    corpus = _read_corpus(config)
    if config.model.path is None:
        if config.model.tokenizer is not None:
            raise InputError(f"model.tokenizer={config.model.tokenizer}: the sandbox has its own; give model.path too")
        return _sandbox_inputs(config, corpus, weights_needed)
    path, retrained = config.model.path, config.model.retrained
    tokenizer = load_tokenizer(path, config.model)
    skeleton = read_skeleton(config, path, "model.path", weights_needed)
    other = None if retrained is None else read_skeleton(config, retrained, "model.retrained", weights_needed)
    return _matching(KnownInputs(corpus, path, skeleton, other, tokenizer))


def read_start(config: CommonConfig) -> KnownInputs:
    """Read what unlearn-memorise begins with: the model of model.path, or the shape of a new one where that is null.

    A new model has the tokenizer of model.tokenizer, or a byte-level BPE that is trained on the corpus now. Raises
    InputError as `read_inputs`.
    """
    if config.model.path is not None:
        return read_inputs(config)
    corpus, model = _read_corpus(config), config.model
    tokenizer = load_tokenizer(model.tokenizer, model) if model.tokenizer else corpus_tokenizer(corpus, model)
    with without_weights():
        return KnownInputs(corpus, "a new model", new_model(model, tokenizer, config.recipe.seed), None, tokenizer)


def read_skeleton(config: CommonConfig, path: str, key: str, weights_needed: bool = True) -> PreTrainedModel:
    """Return a model without its weights. Raises InputError as `load_skeleton`, and where it has no weights to load."""
    if weights_needed:
        require_loadable(path, config.model, key)
    return load_skeleton(path, config.model, weights_dtype(config.trainer), key)


def _read_corpus(config: CommonConfig) -> Corpus:
    """Read the data, and print, once in all processes, what a user should know of how the rows were read."""
    require_hardware(config.trainer)
    corpus = load_corpus(config.data)
    for note in corpus.notes if on_main_process() else ():
        Console().print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
    return corpus


def _sandbox_inputs(config: CommonConfig, corpus: Corpus, weights_needed: bool) -> KnownInputs:
    """Return the inputs with the sandbox's models, or with the shapes that they will have once they are built."""
    folder, built = sandbox_place(config)
    path, given = str(folder / "target"), config.model.retrained
    other = None if given is None else read_skeleton(config, given, "model.retrained", weights_needed)
    if built:
        target, retrained = (read_skeleton(config, str(folder / name), name) for name in ("target", "retrained"))
        return _matching(KnownInputs(corpus, path, target, other or retrained, load_tokenizer(path, config.model)))
    tokenizer = corpus_tokenizer(generate(sandbox_world(config.data)), config.model)
    with without_weights():
        target = new_model(config.model, tokenizer, config.recipe.seed)
    return _matching(KnownInputs(corpus, path, target, other or target, tokenizer))


def _matching(known: KnownInputs) -> KnownInputs:
    """Return the inputs. Raises InputError where the tokenizer has tokens for which a model has no embedding."""
    for model in (known.skeleton, known.retrained):
        if model is not None:
            require_match(model, known.tokenizer)
    return known
