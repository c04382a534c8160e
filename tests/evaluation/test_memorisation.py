"""Extraction strength and exact memorisation: by hand, compared with greedy decoding, and over rows."""

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.evaluation.tiny import byte_model, byte_tokenizer, greedy_tokens, small_corpus
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.data.rows import Corpus, Row, Split
from unlearning.errors import InputError
from unlearning.evaluation.distribution import Share
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.memorisation import (
    exact_memorisation,
    extraction_strength,
    memorisation,
    memorisation_metrics,
    right_tokens,
)
from unlearning.evaluation.result import ItemScore

CORPUS = small_corpus()


def skip(_: int) -> None:
    """Stand in for a progress bar."""


def measured(model: PreTrainedModel, corpus: Corpus = CORPUS, prompt: PromptConfig | None = None) -> EvaluatedModel:
    """Return the model with the tiny tokenizer, its data and its settings."""
    config = EvaluationConfig(batch_tokens=500)
    return EvaluatedModel(model, byte_tokenizer(), corpus, config, prompt or PromptConfig())


@pytest.mark.parametrize(
    ("right", "strength", "exact"),
    [
        ([True, True, True], 1.0, 1.0),
        ([True, False, True, True], 0.5, 0.75),
        ([True, True, False], 0.0, 2 / 3),
        ([False], 0.0, 0.0),
    ],
)
def test_by_hand(right: list[bool], strength: float, exact: float) -> None:
    """In the second case the last two of four tokens follow once the first two are given, and three are right."""
    assert extraction_strength(right) == strength
    assert exact_memorisation(right) == exact


@pytest.mark.grid
@pytest.mark.parametrize("family", ["olmo", "gpt2"])
@pytest.mark.parametrize("batch_tokens", [1, 60, 100000])
def test_extraction_strength_is_what_greedy_decoding_gives(family: str, batch_tokens: int) -> None:
    """The output is three tokens that the model would not say, and then what it says after them."""
    model = byte_model(family, 2)
    sequences, starts, expected = [], [], []
    for number, known in enumerate((0, 1, 4, 9)):
        prompt = [10 + number, 20, 30][: 2 + number % 2]
        given = [5 + number, 6, 7]
        output = given + greedy_tokens(model, [*prompt, *given], set(), known)
        least = min(
            k
            for k in range(len(output) + 1)
            if greedy_tokens(model, [*prompt, *output[:k]], set(), len(output) - k) == output[k:]
        )
        sequences.append([*prompt, *output])
        starts.append(len(prompt))
        expected.append(1 - least / len(output))
    found = right_tokens(model, "abcd", sequences, starts, batch_tokens, skip)
    assert [extraction_strength(right) for right in found] == pytest.approx(expected)
    assert expected[-1] == pytest.approx(9 / 12)


@torch.no_grad()
def naive(model: PreTrainedModel, row: Row) -> dict[str, float]:
    """Return the values of one row, from its whole logits and without an end token."""
    tokenizer = byte_tokenizer()
    prompt = tokenizer(row.input)["input_ids"]
    output = tokenizer(f" {row.output}", add_special_tokens=False)["input_ids"]
    best = model(torch.tensor([prompt + output])).logits[0].argmax(-1)[len(prompt) - 1 : -1].tolist()
    hits = [said == token for said, token in zip(best, output, strict=True)]
    last_miss = max((place for place, hit in enumerate(hits) if not hit), default=-1)
    return {
        "extraction_strength": (len(hits) - 1 - last_miss) / len(hits),
        "exact_memorisation": sum(hits) / len(hits),
    }


def remembering(corpus: Corpus) -> PreTrainedModel:
    """Return a model after some steps of training on the retain rows."""
    model, tokenizer = byte_model("olmo", 4), byte_tokenizer()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(12):
        for row in corpus.retain:
            ids = torch.tensor([tokenizer(f"{row.input} {row.output}")["input_ids"]])
            model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def test_rows_are_scored_one_by_one() -> None:
    """Rows are scored in their order and on their outputs, whatever training supervised."""
    model = remembering(CORPUS)
    expected = [ItemScore(row.split.value, row.id, naive(model, row)) for row in (*CORPUS.forget, *CORPUS.retain)]
    plain = memorisation(measured(model))
    assert plain == expected
    documents = PromptConfig(
        forget_supervised=Supervised.document, retain_supervised=Supervised.article, append_eos=False
    )
    assert memorisation(measured(model, prompt=documents)) == expected
    second = memorisation(replace(measured(model), share=Share(1, 2)))
    assert second == expected[1::2]
    metrics = memorisation_metrics(plain)
    strength = [item.values["extraction_strength"] for item in plain if item.group == "retain"]
    assert metrics["retain_extraction_strength"] == pytest.approx(sum(strength) / len(strength))
    assert 0 < (metrics["forget_exact_memorisation"] or 0) < (metrics["retain_exact_memorisation"] or 0) < 1


def test_a_split_without_rows_has_no_mean() -> None:
    """The mean of a split without rows is None."""
    items = [ItemScore("forget", "a", {"extraction_strength": share, "exact_memorisation": 1.0}) for share in (0, 0.5)]
    assert memorisation_metrics(items) == {
        "forget_extraction_strength": 0.25,
        "forget_exact_memorisation": 1.0,
        "retain_extraction_strength": None,
        "retain_exact_memorisation": None,
    }
    assert memorisation(measured(byte_model("olmo"), Corpus((), ()))) == []


def test_what_cannot_be_measured_names_the_row() -> None:
    """Broken weights and a row that is too long are refused with the row's name."""
    broken = byte_model("olmo")
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    row = CORPUS.forget[0]
    corpus = Corpus((row,), ())
    with pytest.raises(InputError, match=r"row .*sc1: the model's logits are not a number"):
        memorisation(measured(broken, corpus))
    assert row.split is Split.FORGET
    with pytest.raises(InputError, match=r"row .*sc1: \d+ tokens; the model's context of 16"):
        memorisation(measured(byte_model("olmo", context=16), corpus))
