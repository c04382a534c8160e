"""The probes of leakage: exact against plain sums over single tokens, sampled against exact."""

import math
from dataclasses import replace

import pytest
import torch

from tests.evaluation.tiny import byte_model
from tests.probes.world import probed
from unlearning.config.probe import Measured
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.evaluation.spellings import Speller
from unlearning.probes.exact_leakage import ExactLeakage
from unlearning.probes.probe import ProbedModel
from unlearning.probes.sampled_leakage import SampledLeakage


def asked(outputs: list[str], kind: Kind = Kind.QUESTION) -> ProbedModel:
    """Return a random model that is asked one question for each output, in float64."""
    rows = [Row(f"{n}qa0", f"Who is {n}?", text, "Task2", kind, Split.FORGET) for n, text in enumerate(outputs)]
    return replace(probed(byte_model("olmo")), corpus=Corpus(tuple(rows), ()))


def log_probability(probe: ProbedModel, question: str, tokens: list[int]) -> float:
    """Return the logarithm of the probability of the tokens after the question, one token at a time."""
    ids = probe.tokenizer(question)["input_ids"]
    total = 0.0
    for token in tokens:
        with torch.no_grad():
            total += float(probe.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[token])
        ids = [*ids, token]
    return total


def test_an_exact_leak_is_summed_over_spellings() -> None:
    """Restated: p is the sum over spellings with a space and without, each with the end token; then 1 - (1 - p)^k."""
    made = asked(["7 tea", "Dorn"])
    probe = ExactLeakage([1, 4], 3)
    found = probe.run(made)
    speller = Speller(made.tokenizer)
    for row, first, last in zip(made.corpus.forget, found.curve[1].asked, found.items, strict=True):
        spelled = {*speller.spellings(f" {row.output}", 3), *speller.spellings(row.output, 3)}
        p = sum(math.exp(log_probability(made, row.input, [*tokens, 0])) for tokens in spelled)
        assert first.score == pytest.approx(p, rel=1e-6)
        assert last.score == pytest.approx(1 - (1 - p) ** 4, rel=1e-6)
        assert last.answer == f"ln p = {math.log(p):.2f}"
    assert [point.effort for point in found.curve] == [0, 1, 4]
    assert found.curve[-1].beside == [max(found.items, key=lambda item: item.score)]
    assert found.curve_over == "samples (0: greedy)"


def test_more_spellings_leak_more() -> None:
    """Each spelling adds to the probability."""
    made = asked(["Marcelo"])
    leaks = [ExactLeakage([1], spellings).run(made).items[0].score for spellings in (1, 4)]
    assert 0 < leaks[0] < leaks[1]


def test_what_is_sampled_is_what_is_computed() -> None:
    """The share of 1,000 samples that are the answer "a" is within five standard errors of its probability.

    The head is made so that "a" is likely after the question, and the end of text after "a".
    """
    made = asked(["a"])
    with torch.no_grad():
        head = made.model.get_output_embeddings().weight
        states = made.model.model(torch.tensor([made.tokenizer("Who is 0?a")["input_ids"]]))[0][0]
        for token, state in ((made.tokenizer("a")["input_ids"][0], states[-2]), (0, states[-1])):
            head[token] = 1.5 * state / state.norm()
    exact = ExactLeakage([1], 8).run(made).items[0].score
    sampled = SampledLeakage([1], 1000, 1.0, 1.0, 10**9, Measured.knowledge, 0).run(made).items[0].score
    assert 0.1 < exact < 0.9
    # Samples in capitals leak too, which the computed bound leaves out; they are rare here.
    assert abs(sampled - exact) < 5 * (exact * (1 - exact) / 1000) ** 0.5


def test_the_budget_bounds_the_samples() -> None:
    """Two completions of at most 4 tokens each: 50 tokens allow 6 samples, so that k = 8 has no estimate."""
    made = asked(["7 tea", "Dorn"], Kind.COMPLETION)
    probe = SampledLeakage([1, 4, 8], 10, 1.0, 1.0, 50, Measured.regurgitation, 0)
    assert probe.affordable_samples(made) == 6
    found = probe.run(made)
    assert [point.effort for point in found.curve] == [0, 1, 4]
    assert found.notes[0].startswith(
        "6 samples a row; one without any leak among them may still leak with a probability"
    )
    assert [point.effort for point in replace(probe, budget_tokens=1).run(made).curve] == [0, 1]
