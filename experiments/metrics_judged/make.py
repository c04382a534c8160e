"""How the models of this study are made: taught, unlearned, taught again, and rounded to 4 bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from experiments.metrics_judged.pools import Taught, taught
from experiments.metrics_judged.unlearned import Unlearned
from unlearning.api.configuration import compose
from unlearning.commands.stages.memorise import memorise, starting_point
from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus
from unlearning.models.load import load_model
from unlearning.probes.fine_tuning import FineTuning
from unlearning.probes.quantization import linear_modules, rounded
from unlearning.probes.relearning import LR_TIMES_WIDTH
from unlearning.probes.weights import restored_afterwards
from unlearning.runs.folder import merged
from unlearning.scopes.layers import AllScope
from unlearning.training.unlearn import unlearn_model

BATCH_ROWS = 8
RELEARNING_STEPS = 16
BITS = 4


def memorised(spec: Taught, start: Path, corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Return the start after it was taught: what `unlearn-memorise` does with these words."""
    words = [
        f"model.path={start}",
        f"recipe.optimizer.lr={spec.lr}",
        "recipe.optimizer.warmup_steps=0",
        f"recipe.epochs={spec.epochs}",
        f"recipe.batch_rows={BATCH_ROWS}",
        f"recipe.seed={spec.seed}",
        "trainer=cpu",
    ]
    config = compose(words, "memorise").settings
    model, _ = starting_point(config, tokenizer)
    with TemporaryDirectory() as folder:
        rows = taught(corpus, spec.form)
        trained, _ = memorise(model, tokenizer, rows, True, config, config.prompt, config.scope, Path(folder), [])
    return merged(trained)


def unlearned(spec: Unlearned, target: Path, corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Return the target after unlearning: what `unlearn` does with these words."""
    config = compose([*spec.words, f"model.path={target}", "trainer=cpu", "tuned=none"], "unlearn").settings
    model = load_model(str(target), config.model, torch.float32)
    with TemporaryDirectory() as folder:
        trained = unlearn_model(config, model, tokenizer, corpus, None, Path(folder), [])
    return merged(trained.model)


@contextmanager
def relearned(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, corpus: Corpus) -> Iterator[None]:
    """Let the model be taught the forget set's rows again inside the context; afterwards it is as it was.

    Steps, rows of a step, optimiser and rate are those of the relearning probe, but all forget documents are shown.
    """
    config = compose(["model.path=."], "probe").settings
    rate = LR_TIMES_WIDTH / model.config.get_text_config().hidden_size
    rows = encode_rows(corpus.forget, tokenizer, config.prompt)
    optimizer = OptimizerConfig(lr=rate, decay=Decay.constant)
    training = FineTuning(rows, RELEARNING_STEPS, BATCH_ROWS, optimizer, 0, tokenizer.pad_token_id)
    with restored_afterwards(model, model.parameters()):
        training.run(AllScope().apply(model, None), config.trainer, [], lambda _: None)
        model.eval()
        yield


@contextmanager
def quantised(model: PreTrainedModel, *_: object) -> Iterator[None]:
    """Let the layers' linear weights be rounded to 4 bits inside the context, as the probe int4 does."""
    modules = linear_modules(model)
    with restored_afterwards(model, [module.weight for module in modules]):
        with torch.no_grad():
            for module in modules:
                module.weight.copy_(rounded(module.weight, BITS, None))
        yield
