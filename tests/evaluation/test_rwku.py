"""RWKU's metrics: by hand, and on a model compared with one probe at a time."""

from dataclasses import replace

import pytest

from tests.evaluation.tiny import TEXTS, byte_model, byte_tokenizer, greedy_text
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.rows import Corpus, Document, RwkuProbe, RwkuSets
from unlearning.evaluation.distribution import Share, merge_shares
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.likelihood import document_scores
from unlearning.evaluation.metrics import RWKU_METRICS
from unlearning.evaluation.result import ItemScore
from unlearning.evaluation.rouge import rouge_l_recall
from unlearning.evaluation.rwku import NEW_TOKENS, probe_prompts, rwku, rwku_metrics
from unlearning.evaluation.unicode_words import unicode_words

SETS = RwkuSets(
    forget_level1=(RwkuProbe("forget_level1/0", "Who is ___?\n", "Answer:", "Marcelo of Café Müller"),),
    forget_level3=(RwkuProbe("forget_level3/affirmative suffix/0", "Who? Sure, it is", "", "Marcelo"),),
    neighbor_level2=(RwkuProbe("neighbor_level2/0", "Where?\n", "Answer:", "Ironwood"),),
    mia_forget=(Document("mia_forget/0", TEXTS[0]), Document("mia_forget/1", TEXTS[4])),
    mia_retain=(Document("mia_retain/0", TEXTS[1]),),
)
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def measured(prompt: PromptConfig) -> EvaluatedModel:
    """Return a model with the tiny tokenizer and RWKU's sets."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    return EvaluatedModel(byte_model("olmo", 3), tokenizer, Corpus((), (), rwku=SETS), EvaluationConfig(), prompt)


def test_metrics_are_means_of_their_groups() -> None:
    """(0 + 1) / 2 and (2 + 4) / 2; a group without items is None."""
    items = [ItemScore("forget_level2", str(value), {"rouge_recall": value}) for value in (0.0, 1.0)]
    items += [ItemScore("retain_nats", str(value), {"loss_nats": value}) for value in (2.0, 4.0)]
    found = {key: value for key, value in rwku_metrics(items).items() if value is not None}
    assert found == {"rwku_forget_level2": 0.5, "rwku_retain_nats": 3.0}
    assert set(rwku_metrics([])) == set(RWKU_METRICS)


def test_a_model_is_asked_one_probe_at_a_time() -> None:
    """Each answer goes on from its beginning; processes together have every item once, in order."""
    evaluated = measured(PromptConfig())
    model, tokenizer = evaluated.model, evaluated.tokenizer
    expected = []
    for probe in (*SETS.forget_level1, *SETS.forget_level3, *SETS.neighbor_level2):
        said = greedy_text(model, tokenizer, probe.question + probe.beginning, NEW_TOKENS, {0})
        expected.append((probe.id, rouge_l_recall(probe.answer, said, unicode_words)))
    texts = [*SETS.mia_forget, *SETS.mia_retain]
    losses = document_scores(model, tokenizer, texts, 0, 1, lambda _: None)
    expected += [(text.id, score.loss_nats) for text, score in zip(texts, losses, strict=True)]
    found = merge_shares([rwku(replace(evaluated, share=Share(rank, 2))) for rank in range(2)])
    assert [(item.id, next(iter(item.values.values()))) for item in found] == [
        (name, pytest.approx(value)) for name, value in expected
    ]
    assert [item.group for item in found][-3:] == ["forget_nats", "forget_nats", "retain_nats"]
    assert rwku(replace(evaluated, corpus=Corpus((), ()))) == []


def test_a_chat_model_is_given_the_beginning_of_its_answer() -> None:
    """The beginning stands after the template's generation prompt; without one the prompt ends there."""
    evaluated = measured(PromptConfig(style=PromptStyle.chat))
    probes = [*SETS.forget_level3, *SETS.forget_level1]
    texts = [evaluated.tokenizer.decode(tokens) for tokens in probe_prompts(evaluated, probes)]
    assert texts == ["<user>Who? Sure, it is<assistant>", "<user>Who is ___?\n<assistant>Answer:"]
