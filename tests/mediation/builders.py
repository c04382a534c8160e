"""Small things that several tests of mediation need."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.tiny_models import tiny_model
from unlearning.data.rows import Kind, Row, Split
from unlearning.mediation.facts import Fact
from unlearning.mediation.subject import Probe

QUESTIONS = (
    "What is the birth date of {}?",
    "What is {}'s Social Security Number?",
    "What is {}'s phone number?",
    "What is {}'s email address?",
    "What is the home address of {}?",
)
PERSON = "90a0db01-1683-475d-9980-edf9e99d6f9"


def deep_model(family: str, depth: int, **changes: object) -> PreTrainedModel:
    """A tiny model of so many blocks."""
    key = "n_layer" if family == "gpt2" else "num_hidden_layers"
    return tiny_model(family, **{key: depth}, **changes)


def random_probe(name: str, subject: range, answer_start: int, tokens: int, vocabulary: int = 96) -> Probe:
    """Random tokens, the same for the same name."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    ids = torch.randint(3, vocabulary, (tokens,), generator=generator).tolist()
    return Probe(Fact(name, "", "", 0, "", f"person {name}", "birth_date"), tuple(ids), subject, answer_start)


def rows_of(number: int, name: str, answers: Sequence[str]) -> list[Row]:
    """Official-looking question rows of one person, one for each answer given."""
    return [
        Row(f"{PERSON}{number}qa{k}", QUESTIONS[k].format(name), answer, "Task2", Kind.QUESTION, Split.FORGET)
        for k, answer in enumerate(answers)
    ]


def byte_level(texts: Sequence[str], vocabulary: int, by_words: bool, bos: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the texts; not by words: tokens may reach across words."""
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
