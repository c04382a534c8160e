"""The recognition probe: its options, its chance level, and the likelihood that chooses."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from tests.probes.world import TOWNS, people, probed
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.probes.probe import DoesNotApplyError
from unlearning.probes.recognition import Recognition, make_choices

QUESTIONS = [row for row in people(Split.FORGET) if row.kind is Kind.QUESTION]


def question(name: str, text: str, answer: str, task: str = "Task1") -> Row:
    """Return a question of the forget set."""
    return Row(name, text, answer, task, Kind.QUESTION, Split.FORGET)


def test_options_are_answers_of_the_same_kind() -> None:
    """A town is among towns and a number among numbers, each once, and the right one at any place."""
    choices = make_choices(QUESTIONS, 4, 0)
    assert [choice.row for choice in choices] == QUESTIONS
    for choice in choices:
        assert len(set(choice.options)) == 4
        assert choice.row.output in choice.options
        assert {option in TOWNS for option in choice.options} == {choice.row.output in TOWNS}
    assert set(Counter(choice.options.index(choice.row.output) for choice in choices)) == {0, 1, 2, 3}
    assert make_choices(QUESTIONS, 4, 0) == choices
    assert make_choices(QUESTIONS, 4, 1) != choices


def test_another_kind_helps_out_and_equal_answers_do_not() -> None:
    """Only one question asks when, so its options are of its task. Answers that differ in case count as one."""
    rows = [question("aqa0", "Who?", "Bo"), question("bqa0", "Who?", "bo"), question("cqa0", "When?", "1901")]
    chosen = {choice.row.id: set(choice.options) for choice in make_choices(rows, 4, 0)}
    assert chosen == {"aqa0": {"Bo", "1901"}, "bqa0": {"bo", "1901"}, "cqa0": {"1901", "bo"}}


def test_chance_is_the_mean_over_questions() -> None:
    """Three answers in one task (1/3 each) and two in another (1/2 each) give (3/3 + 2/2) / 5."""
    rows = [question(f"{n}qa0", "Who?", n) for n in "abc"] + [question(f"{n}qa0", "Who?", n, "Task2") for n in "de"]
    asked = probed()
    found = Recognition(4, 0).run(replace(asked, corpus=Corpus(tuple(rows), ())))
    assert found.chance == pytest.approx(2 / 5)


def test_a_question_alone_in_its_task_is_left_out() -> None:
    """A note says how many are left out; if all are, the probe does not apply."""
    alone = question("xqa0", "Who?", "Bo", "Task9")
    asked = probed()
    found = Recognition(2, 0).run(replace(asked, corpus=Corpus((*QUESTIONS, alone), ())))
    assert found.notes == ["1 of 21 questions have no other answer of their kind"]
    with pytest.raises(DoesNotApplyError):
        Recognition(2, 0).run(replace(asked, corpus=Corpus((alone,), ())))


def test_the_choice_is_the_likeliest_by_character() -> None:
    """The choice is that of one option at a time, without batches or padding, in float64."""
    asked = replace(probed(), model=probed().model.double())
    found = {item.id: item.answer for item in Recognition(3, 0).run(asked).items}
    for choice in make_choices(QUESTIONS, 3, 0):
        prompt = asked.tokenizer(choice.row.input)["input_ids"]
        scores = []
        for option in choice.options:
            own = asked.tokenizer(f" {option}")["input_ids"]
            with torch.no_grad():
                logs = asked.model(torch.tensor([prompt + own])).logits[0].log_softmax(-1)
            total = sum(logs[len(prompt) - 1 + place, token].item() for place, token in enumerate(own))
            scores.append(total / len(option))
        assert found[choice.row.id] == choice.options[scores.index(max(scores))]
