"""Tests of experiments/metrics_judged: the published formulas, by hand, and what the models of its pools are taught."""

from collections import defaultdict

import numpy as np
import pytest

from experiments.metrics_judged import judging, study
from experiments.metrics_judged.judging import Changes
from experiments.metrics_judged.pools import FORMS, exchanged, pools, taught
from experiments.metrics_judged.unlearned import unlearned_models
from unlearning.bootstrap import Values
from unlearning.config.data import WorldConfig
from unlearning.data.rows import Kind
from unlearning.sandbox.world import generate


def changed(*pairs: tuple[float, float]) -> Changes:
    """Return changes of these values before and after."""
    before, after = np.array(pairs).T
    return Changes(before, after)


def array(*numbers: float) -> Values:
    """Return the numbers as an array."""
    return np.array(numbers)


def test_faithfulness_and_threshold_are_worked_out_by_hand() -> None:
    """Of four pairs three are in order. From 0.9, and also from 0.5, true less false positives are 1/2."""
    knows, lacks = array(0.9, 0.5), array(0.4, 0.6)
    assert judging.faithfulness(knows, lacks) == 0.75
    assert judging.threshold(knows, lacks) == 0.9
    assert judging.faithfulness(array(0.5, 0.5), array(0.5)) == 0.5


def test_robustness_to_relearning_is_worked_out_by_hand() -> None:
    """The retrained model rises by 0.1; the others by 0.4, by 0.1, by 0.05, and by less than nothing."""
    unlearned, retrained = changed((0.1, 0.5), (0.2, 0.3), (0.0, 0.05), (0.4, 0.3)), changed((0.0, 0.1))
    assert judging.relearning_robustness(unlearned, retrained) == pytest.approx([0.25, 1, 1, 1])
    # 1 - 0.3 / 0.5, then 1, then 1 - 0.05 / 0.15; 1 - 0.2 / 0.2 where the signs differ.
    assert judging.relearning_two_sided(unlearned, retrained) == pytest.approx([0.4, 1, 2 / 3, 0])


def test_what_only_an_unlearned_model_relearns_makes_a_metric_worthless() -> None:
    """R is 0 where the retrained model does not rise, and 1 where no model rises."""
    assert judging.relearning_robustness(changed((0, 0.1), (0, 0)), changed((0, 0))) == pytest.approx([0, 1])
    assert judging.relearning_robustness(changed((0, 0.1)), changed((0.3, 0.2))) == pytest.approx([0])


def test_robustness_to_quantisation_is_worked_out_by_hand() -> None:
    """One side punishes a rise alone, two sides punish any change; nothing before and after is no change."""
    unlearned = changed((0.2, 0.5), (0.6, 0.2), (0, 0), (0, 0.1))
    assert judging.quantisation_robustness(unlearned) == pytest.approx([0.4, 1, 1, 0])
    assert judging.quantisation_two_sided(unlearned) == pytest.approx([1 - 3 / 7, 0.5, 1, 0])


def test_a_judgement_is_worked_out_by_hand() -> None:
    """The third model counts as one that knows. R = (1/4 + 1) / 2, Q = (2/5 + 1) / 2, both means of two models."""
    unlearned = changed((0.1, 0.5), (0.2, 0.3), (0.95, 1.0)), changed((0.2, 0.5), (0.6, 0.2), (0.95, 1.0))
    found = judging.judge(array(0.9, 0.5), array(0.4, 0.6), (changed((0.0, 0.1)), changed((0.0, 0.0))), unlearned)
    assert found.models == 2
    assert (found.faithfulness.value, found.relearning.value) == (0.75, pytest.approx(0.625))
    assert found.quantisation.value == pytest.approx(0.7)
    robust = 2 * 0.625 * 0.7 / (0.625 + 0.7)
    assert found.overall.value == pytest.approx(2 * 0.75 * robust / (0.75 + robust))
    assert (found.relearning.low, found.relearning.high) == (pytest.approx(0.25), pytest.approx(1))


def test_a_metric_that_sees_no_forgetting_has_no_robustness() -> None:
    """No unlearned model counts; faithfulness is known all the same."""
    high = changed((1, 1))
    found = judging.judge(array(0.9), array(0.1), (high, high), (high, high))
    assert (found.faithfulness.value, found.models, found.relearning, found.overall) == (1, 0, None, None)


def test_what_the_models_are_taught() -> None:
    """Wrong rows have other answers throughout, reworded ones other questions; each model has a seed of its own."""
    corpus = generate(WorldConfig(documents_per_task=3, nonmember_documents=1, known_entities=1, teaching_entities=1))
    rows = {form: taught(corpus, form).forget for form in FORMS}
    right = {(row.input, row.output) for row in corpus.forget}
    assert set(rows["rows"]) == set(corpus.forget)
    assert {row.kind for row in rows["told"]} == {Kind.COMPLETION}
    assert [row.id for row in rows["wrong"]] == [row.id for row in corpus.forget]
    for form in ("wrong", "others", "reworded"):
        assert rows[form]
        assert not right & {(row.input, row.output) for row in rows[form]}
    assert {row.output for row in rows["reworded"]} == {
        row.output for row in corpus.forget if row.kind is Kind.QUESTION
    }
    assert {row.output for row in exchanged(corpus.forget)} == {row.output for row in corpus.forget}
    assert len({spec.seed for spec in pools()}) == len({spec.name for spec in pools()}) == len(pools())


def test_the_results_have_every_model() -> None:
    """Each model of the pools has one line, and each unlearned one three: before, relearned, in 4 bits."""
    states: dict[str, set[str]] = defaultdict(set)
    for line in study.STUDY.lines():
        states[line["model"]].add(line["state"])
    changed_ones = {"retrained", *(spec.cells["model"] for spec in unlearned_models())}
    assert {name for name, found in states.items() if found == {"before", "relearned", "quantised"}} == changed_ones
    assert {name for name, found in states.items() if found == {"before"}} == {
        "target",
        *(spec.name for spec in pools()),
    }
