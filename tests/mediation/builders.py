"""Models, facts and rows that several tests of mediation share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.tiny_models import tiny_model
from unlearning.data.rows import Kind, Row, Split
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.facts import Fact
from unlearning.mediation.result import FactTrace

QUESTIONS = (
    "What is the birth date of {}?",
    "What is {}'s Social Security Number?",
    "What is {}'s phone number?",
    "What is {}'s email address?",
    "What is the home address of {}?",
)
PERSON = "90a0db01-1683-475d-9980-edf9e99d6f9"


def deep_model(family: str, depth: int, **changes: object) -> PreTrainedModel:
    """Return a tiny model with this many layers."""
    return tiny_model(family, num_hidden_layers=depth, **changes)


def random_fact(
    name: str,
    subject: range,
    answer_start: int,
    tokens: int,
    vocabulary: int = 96,
    foils: int = 0,
    contrast: tuple[int, int] | None = None,
) -> EncodedFact:
    """Return a fact of random tokens, always the same for a name; each foil has other tokens in the subject's place."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    ids = torch.randint(3, vocabulary, (tokens,), generator=generator).tolist()
    others = torch.randint(3, vocabulary, (foils, len(subject)), generator=generator).tolist()
    first, end = subject[0], subject[-1] + 1
    prompts = tuple((*ids[:first], *other, *ids[end:answer_start]) for other in others)
    fact = Fact(name, "", "", 0, "", f"person {name}", "birth_date")
    return EncodedFact(fact, tuple(ids), subject, answer_start, foils=prompts, contrast=contrast)


def hooks_of(model: nn.Module) -> int:
    """Return the number of hooks on the model's modules."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return everything of a model that tracing must not change."""
    return {
        "tensors": {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "flags": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters() if parameter.grad is not None],
        "hooks": hooks_of(model),
    }


def same_state(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two results of `state_of` are equal, to the bit."""
    tensors = one["tensors"], other["tensors"]
    return {**one, "tensors": None} == {**other, "tensors": None} and all(
        torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0] | tensors[1]
    )


def close(one: FactTrace, other: FactTrace, within: float) -> bool:
    """Return whether two traces of a fact are equal, their scores up to this difference."""
    names = ("clean", "corrupted", "patched", "placebo")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    if any((left is None) != (right is None) for left, right in pairs):
        return False
    bare = [replace(trace, **dict.fromkeys(names)) for trace in (one, other)]
    return bare[0] == bare[1] and all(
        left.shape == right.shape and np.allclose(left, right, rtol=0, atol=within, equal_nan=True)
        for left, right in pairs
        if left is not None
    )


def rows_of(number: int, name: str, answers: Sequence[str]) -> list[Row]:
    """Return question rows about one person in the official form, one for each answer."""
    return [
        Row(f"{PERSON}{number}qa{k}", QUESTIONS[k].format(name), answer, "Task2", Kind.QUESTION, Split.FORGET)
        for k, answer in enumerate(answers)
    ]


def byte_level(texts: Sequence[str], vocabulary: int, by_words: bool, bos: bool) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer trained on the texts; its tokens may cross words unless `by_words`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=by_words)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<end>", "<begin>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<begin> $A", special_tokens=[("<begin>", tokenizer.token_to_id("<begin>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", bos_token="<begin>")
