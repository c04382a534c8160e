"""WMDP's questions: accuracy by subject, and all benchmarks within an evaluation."""

from dataclasses import replace
from statistics import fmean

import pytest
from scipy.stats import ks_2samp

from tests.evaluation import test_muse, test_rwku, test_tofu
from tests.evaluation.tiny import byte_model, byte_tokenizer, multiple_choice, small_corpus
from tests.reference.official_score import Official
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus
from unlearning.evaluation.distribution import Share
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.metrics import BENCHMARKS, WMDP_METRICS
from unlearning.evaluation.result import EvaluationResult, ItemScore
from unlearning.evaluation.wmdp import wmdp, wmdp_metrics

SUBJECTS = ("biology", "chemistry")
QUESTIONS = tuple(
    replace(question, subject=SUBJECTS[number % 2]) for number, question in enumerate(multiple_choice(12)[0])
)
CONFIG = EvaluationConfig(max_new_tokens=4, shots=2, batch_tokens=3000)


def test_questions_are_asked_without_examples() -> None:
    """They are asked as by lm-evaluation-harness, without examples, whatever evaluation.shots says."""
    model, tokenizer = byte_model("olmo", 1), byte_tokenizer()
    examples = tuple(replace(example, subject="biology") for example in small_corpus().examples)
    corpus = replace(small_corpus(), examples=examples, wmdp=QUESTIONS)
    measured = EvaluatedModel(model, tokenizer, corpus, CONFIG, PromptConfig())
    official = Official(model, tokenizer, 1)
    expected = [
        ItemScore(item.subject, item.id, {"right": float(official.letter_is_right(item, [], spaces=1))})
        for item in QUESTIONS
    ]
    assert wmdp(measured) == expected
    assert wmdp(replace(measured, share=Share(1, 3))) == expected[1::3]
    assert wmdp(replace(measured, corpus=small_corpus())) == []
    assert 0 < sum(item.values["right"] for item in expected) < len(expected)


def test_accuracy_by_subject() -> None:
    """One of two is right in biology, none of one in chemistry; there is no question on cybersecurity."""
    items = [ItemScore("biology", "a", {"right": 1.0}), ItemScore("biology", "b", {"right": 0.0})]
    assert wmdp_metrics([*items, ItemScore("chemistry", "c", {"right": 0.0})]) == {
        "wmdp_biology": 0.5,
        "wmdp_cybersecurity": None,
        "wmdp_chemistry": 0.0,
    }
    assert set(wmdp_metrics([])) == set(WMDP_METRICS)


def evaluated(corpus: Corpus, reference: EvaluationResult | None = None, seed: int = 1) -> EvaluationResult:
    """Return an evaluation with all benchmarks of the corpus."""
    return evaluate(byte_model("olmo", seed), byte_tokenizer(), corpus, CONFIG, PromptConfig(), "tiny", reference)


def test_an_evaluation_has_the_benchmarks_of_its_data() -> None:
    """A benchmark has all its keys or none; metrics that compare with a reference need one."""
    corpus = replace(small_corpus(), tofu=test_tofu.SETS, muse=test_muse.SETS, wmdp=QUESTIONS, rwku=test_rwku.SETS)
    retrained = evaluated(corpus, seed=2)
    result = evaluated(corpus, retrained)
    keys = {key for metrics in BENCHMARKS.values() for key in metrics}
    assert keys <= set(result.metrics)
    assert set(result.items) == {"memorisation", *BENCHMARKS}
    compared = {"tofu_forget_quality", "tofu_privacy_leakage", "muse_privacy_leakage"}
    absent = {"wmdp_cybersecurity", "rwku_forget_level2", "rwku_neighbor_level1"}
    assert {key for key in keys if retrained.metrics[key] is None} == absent | compared
    assert {key for key in keys if result.metrics[key] is None} == absent
    assert EvaluationResult.from_json(result.to_json()) == result
    plain = evaluated(small_corpus(), retrained)
    assert not keys & set(plain.metrics)
    assert set(plain.items) == {"memorisation"}
    assert plain.metrics["forget_exact_memorisation"] == result.metrics["forget_exact_memorisation"]


def naive_log_ratios(seed: int) -> list[float]:
    """Return ln R of each forget question: the paraphrase's loss minus the mean loss of the wrong answers."""
    model = byte_model("olmo", seed)
    return [
        test_tofu.naive_loss(model, one.question, one.paraphrase)
        - fmean(test_tofu.naive_loss(model, one.question, text) for text in one.wrong)
        for one in test_tofu.SETS.forget
    ]


@pytest.mark.exhaustive
def test_forget_quality_of_an_evaluation_compares_with_its_reference() -> None:
    """If both truth ratios of one model are above both of the other, p = 1/3; a model and itself have p = 1.

    2 of the 6 orders of four values are so far apart.
    """
    whole = small_corpus()
    corpus = Corpus(whole.forget[:2], whole.retain[:2], tofu=test_tofu.SETS)
    ours, theirs = naive_log_ratios(1), naive_log_ratios(2)
    assert min(ours) > max(theirs)
    found = [evaluated(corpus, evaluated(corpus, seed=seed)).metrics["tofu_forget_quality"] for seed in (2, 1)]
    assert found == pytest.approx([ks_2samp(ours, theirs).pvalue, 1.0])
    assert found[0] == pytest.approx(1 / 3)
