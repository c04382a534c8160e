"""Fixtures that the tests of whole traces share."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.mediation.builders import byte_level, deep_model, same_state, state_of
from tests.mediation.trace_bench import DEPTH, PROMPT, RETAIN, ROWS, Bench
from tests.reference.in_double import InDouble
from unlearning.data.encoding import encode_rows
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.tracer import Tracer


@pytest.fixture
def in_double() -> Iterator[None]:
    """Compute norms and softmaxes in float64 too, so that equal scores are equal to many digits."""
    with InDouble():
        yield


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_level([f"{row.input} {row.output}" for row in [*ROWS, *RETAIN]], 420, by_words=True, bos=False)


@pytest.fixture(scope="session")
def base(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Return the model from before it memorised."""
    made = deep_model("olmo", DEPTH, vocab_size=len(tokenizer))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(0.1)
    return made


@pytest.fixture(scope="session")
def model(base: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Return a model trained on all rows but the last forget row and the last two retain rows."""
    made = deepcopy(base)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    encoded = encode_rows([*ROWS[:-1], *RETAIN[:2]], tokenizer, PROMPT)
    for _ in range(60):
        for row in encoded:
            ids = torch.tensor([row.input_ids])
            labels = ids.clone()
            labels[0, : row.supervised_from] = -100
            made(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return made


@pytest.fixture
def bench(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, base: PreTrainedModel) -> Iterator[Bench]:
    """Yield the model and what tracing it needs; afterwards check that the test did not change the model."""
    before = [state_of(item) for item in (model, base)]
    yield Bench(model, tokenizer, base)
    assert all(same_state(state_of(item), state) for item, state in zip((model, base), before, strict=True))


@pytest.fixture
def without_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the self-test, which takes as long as the trace of a few facts and has tests of its own."""
    monkeypatch.setattr("unlearning.mediation.trace.self_test", lambda _: None)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that the ids of traced facts are added to, except that of the self-test."""
    ids: list[str] = []
    original = Tracer.trace

    def counting(self: Tracer, facts: Sequence[EncodedFact], noise_scale: float) -> Any:
        ids.extend(fact.source.id for fact in facts if fact.source.person)
        return original(self, facts, noise_scale)

    monkeypatch.setattr(Tracer, "trace", counting)
    return ids
