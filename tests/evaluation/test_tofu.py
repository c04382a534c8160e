"""TOFU's metrics: by hand, and on a model compared with one answer at a time."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.evaluation.tiny import byte_model, byte_tokenizer, greedy_text
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus, Kind, Row, Split, TofuQuestion, TofuSets
from unlearning.errors import InputError
from unlearning.evaluation.distribution import Share, merge_shares
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.metrics import TOFU_METRICS
from unlearning.evaluation.result import ItemScore
from unlearning.evaluation.rouge import rouge_l_recall
from unlearning.evaluation.tofu import (
    forget_quality,
    log_truth_ratio,
    probability,
    tofu,
    tofu_metrics,
    truth_score,
)

LN2 = math.log(2)
NEW_TOKENS = 20


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers have fewer tokens than TOFU's."""
    monkeypatch.setattr("unlearning.evaluation.tofu_answers.NEW_TOKENS", NEW_TOKENS)


def question(name: str, number: int) -> TofuQuestion:
    """Return a question with answers of its own."""
    return TofuQuestion(
        id=f"{name}/{number}",
        question=f"Where is {name} {number}?",
        answer=f"It is in Ironwood, by the river {number}.",
        paraphrase=f"By the river {number}",
        wrong=("In Orvany.", f"On the lake of Tamsel {number}"),
    )


SETS = TofuSets(
    forget=(question("forget", 0), question("forget", 1)),
    retain=(question("retain", 0),),
    real_authors=(question("real_authors", 0), question("real_authors", 1)),
    world_facts=(question("world_facts", 0),),
    holdout=tuple(
        Row(f"holdout/{number}", f"Where is nobody {number}?", f"In Selm {number}.", "h", Kind.QUESTION, Split.RETAIN)
        for number in range(2)
    ),
)


def measured(model: PreTrainedModel, sets: TofuSets | None = SETS, batch_tokens: int = 600) -> EvaluatedModel:
    """Return the model with the tiny tokenizer, its data and its settings."""
    config = EvaluationConfig(batch_tokens=batch_tokens)
    return EvaluatedModel(model, byte_tokenizer(), Corpus((), (), tofu=sets), config, PromptConfig())


def items(group: str, *values: tuple[float, float, float]) -> list[ItemScore]:
    """Return items of a set with these probabilities, ROUGE scores and log truth ratios."""
    names = ("probability", "rouge", "log_truth_ratio")
    return [ItemScore(group, str(number), dict(zip(names, three, strict=True))) for number, three in enumerate(values)]


def test_probability_by_hand() -> None:
    """exp(-ln 2) = 1/2; it is half of the sum with two options of 1/4 each, and half with one equal option."""
    assert probability(LN2, []) == pytest.approx(0.5)
    assert probability(LN2, [2 * LN2, 2 * LN2]) == pytest.approx(0.5)
    assert probability(5000.0, [5000.0]) == pytest.approx(0.5)
    assert probability(5000.0, [1.0]) == pytest.approx(0.0)


def test_truth_ratio_by_hand() -> None:
    """Wrong answers of 1/2 and 1/8 have the geometric mean 1/4. A paraphrase of 1/2, 1/4, 1/8 has R = 1/2, 1, 2."""
    ratios = [log_truth_ratio(times * LN2, [LN2, 3 * LN2]) for times in (1, 2, 3)]
    assert ratios == pytest.approx([-LN2, 0.0, LN2])
    assert [truth_score(ratio, "forget") for ratio in ratios] == pytest.approx([0.5, 1.0, 0.5])
    assert [truth_score(ratio, "retain") for ratio in ratios] == pytest.approx([0.5, 0.0, 0.0])
    assert [truth_score(ratio, "retain") for ratio in (-2000.0, 2000.0)] == [1.0, 0.0]


def test_forget_quality_by_hand() -> None:
    """If two and two values do not overlap, 2 of the 6 orders are as extreme: p = 1/3. The same values have p = 1."""
    assert forget_quality([0.1, 0.2], [0.3, 0.4]) == pytest.approx(1 / 3)
    assert forget_quality([0.1, 0.2], [0.1, 0.2]) == pytest.approx(1.0)
    assert forget_quality([math.exp(-3), math.exp(2)], [1.0, math.exp(4)]) == forget_quality([-3, 2], [0, 4])
    assert forget_quality([0.1], []) is None


def test_metrics_by_hand() -> None:
    """Eight values of 1/2 and one of 1 have the harmonic mean 9 / (8 * 2 + 1)."""
    half = (0.5, 0.5, -LN2)
    found = items("forget", (0.25, 0.0, LN2), (0.75, 1.0, 0.0)) + items("retain", (1.0, 0.5, -LN2))
    found += items("real_authors", half) + items("world_facts", half)
    metrics = tofu_metrics(found, items("forget", (0.0, 0.0, LN2), (0.0, 0.0, 0.0)))
    assert set(metrics) == set(TOFU_METRICS)
    assert metrics["tofu_forget_probability"] == metrics["tofu_forget_rouge"] == 0.5
    assert metrics["tofu_forget_truth_ratio"] == pytest.approx(0.75)
    assert metrics["tofu_model_utility"] == pytest.approx(9 / 17)
    assert metrics["tofu_forget_quality"] == pytest.approx(1.0)


def test_what_is_missing_is_none() -> None:
    """Forget quality needs a reference, and utility all three sets; a value of 0 makes the utility 0."""
    forget, half = items("forget", (0.25, 0.0, LN2)), (0.5, 0.5, -LN2)
    metrics = tofu_metrics(forget + items("retain", half), None)
    assert metrics["tofu_forget_quality"] is metrics["tofu_model_utility"] is None
    assert metrics["tofu_world_facts_rouge"] is None
    assert metrics["tofu_retain_truth_ratio"] == pytest.approx(0.5)
    sets = items("retain", half) + items("real_authors", half) + items("world_facts", (0.5, 0.0, -LN2))
    assert tofu_metrics(sets, None)["tofu_model_utility"] == 0


def naive_loss(model: PreTrainedModel, prompt: str, answer: str) -> float:
    """Return the mean of -log p over the answer's tokens and the end token."""
    nats = naive_losses(model, prompt, answer)
    return sum(nats) / len(nats)


def naive_min_40(model: PreTrainedModel, prompt: str, answer: str) -> float:
    """Return the mean of the greatest 40% of -log p over the answer's tokens, the end token left out."""
    *nats, _ = naive_losses(model, prompt, answer)
    greatest = sorted(nats, reverse=True)[: int(0.4 * len(nats))]
    return sum(greatest) / len(greatest)


@torch.no_grad()
def naive_losses(model: PreTrainedModel, prompt: str, answer: str) -> list[float]:
    """Return -log p of the answer's tokens and of the end token."""
    tokenizer = byte_tokenizer()
    start = tokenizer(prompt)["input_ids"]
    tokens = [*start, *tokenizer(f" {answer}", add_special_tokens=False)["input_ids"], 0]
    logs = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return [-logs[place - 1, tokens[place]].item() for place in range(len(start), len(tokens))]


@pytest.mark.by_default("4000")
@pytest.mark.usefixtures("short_answers")
@pytest.mark.parametrize("batch_tokens", [1, 4000])
def test_a_model_is_asked_one_answer_at_a_time(batch_tokens: int) -> None:
    """Every question has its three values, those of the holdout and of the forget set their Min-40% loss.

    The geometric mean is that of exp(-loss).
    """
    model = byte_model("olmo", 6)
    found = tofu(measured(model, batch_tokens=batch_tokens))
    asked = [*SETS.forget, *SETS.retain, *SETS.real_authors, *SETS.world_facts]
    assert [item.id for item in found] == [one.id for one in (*asked, *SETS.holdout)]
    for item, row in zip(found[len(asked) :], SETS.holdout, strict=True):
        least = naive_min_40(model, row.input, row.output)
        assert (item.group, item.values) == ("holdout", {"min_40_nats": pytest.approx(least, rel=1e-5)})
    for item, one in zip(found[: len(asked)], asked, strict=True):
        least_likely = item.values.pop("min_40_nats", None)
        least = naive_min_40(model, one.question, one.answer)
        assert least_likely == (pytest.approx(least, rel=1e-5) if item.group == "forget" else None)
        answer, paraphrase, *wrong = (
            math.exp(-naive_loss(model, one.question, text)) for text in (one.answer, one.paraphrase, *one.wrong)
        )
        with_options = item.group in ("real_authors", "world_facts")
        said = greedy_text(model, byte_tokenizer(), one.question, NEW_TOKENS, {0})
        assert item.values == pytest.approx(
            {
                "probability": answer / (answer + sum(wrong)) if with_options else answer,
                "rouge": rouge_l_recall(one.answer, said),
                "log_truth_ratio": math.log(math.sqrt(wrong[0] * wrong[1]) / paraphrase),
            },
            rel=1e-5,
            abs=1e-5,
        )


@pytest.mark.usefixtures("short_answers")
def test_processes_share_the_questions() -> None:
    """The processes together have every item once, in order."""
    whole = measured(byte_model("olmo", 6))
    alone = tofu(whole)
    shares = merge_shares([tofu(replace(whole, share=Share(rank, 4))) for rank in range(4)])
    assert [item.id for item in shares] == [item.id for item in alone]
    for mine, theirs in zip(shares, alone, strict=True):
        assert mine.values == pytest.approx(theirs.values)
    assert tofu(replace(whole, share=Share(9, 10))) == []


def test_without_questions_there_is_nothing() -> None:
    """Without questions the list is empty, and there is no error."""
    assert tofu(measured(byte_model("olmo"), None)) == []


def test_broken_weights_name_the_question() -> None:
    """Broken weights are refused with the name of the question."""
    model = byte_model("olmo")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"question forget/0: the model's loss is not a number"):
        tofu(measured(model))
