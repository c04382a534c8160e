"""Four-way questions in both formats, compared with one question, one option and one token at a time."""

import dataclasses

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.evaluation.counted import tokens_through
from tests.evaluation.tiny import byte_model, byte_tokenizer, multiple_choice
from tests.reference.official_score import Official
from tests.tiny_models import FAMILIES
from unlearning.data.question_text import HARNESS_HEAD, MMLU_HEAD, cloze_prompt, letters_prompt
from unlearning.data.rows import Question
from unlearning.errors import InputError
from unlearning.evaluation import multiple_choice as multiple_choice_module
from unlearning.evaluation.multiple_choice import cloze_correct, last_logits, letters_correct

QUESTIONS, EXAMPLES = multiple_choice(12)


def skip(_: int) -> None:
    """Stand in for a progress bar."""


def examples_of(question: Question, shots: int) -> list[Question]:
    """Return the worked examples that come before a question."""
    return [example for example in EXAMPLES if example.subject == question.subject][:shots]


@torch.no_grad()
def naive_cloze(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, question: Question) -> bool:
    """Return whether the question is answered right, scored one option and one token at a time."""
    scores = []
    for option in question.options:
        prompt = tokenizer(cloze_prompt(question))["input_ids"]
        tokens = prompt + tokenizer(f" {option}", add_special_tokens=False)["input_ids"]
        logits = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        total = sum(logits[place - 1, tokens[place]].item() for place in range(len(prompt), len(tokens)))
        scores.append(total / len(option))
    return scores.index(max(scores)) == question.answer


@pytest.mark.grid
@pytest.mark.parametrize("family", ["olmo", "gpt2"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 5000])
def test_cloze_is_one_option_at_a_time(family: str, bos: bool, batch_tokens: int) -> None:
    """The answers are the same as one by one, with and without a token that begins every text."""
    model, tokenizer = byte_model(family, 3), byte_tokenizer(bos)
    expected = [naive_cloze(model, tokenizer, question) for question in QUESTIONS]
    assert cloze_correct(model, tokenizer, QUESTIONS, batch_tokens, skip) == expected
    assert 0 < sum(expected) < len(expected)


@torch.no_grad()
def test_cloze_divides_by_characters() -> None:
    """All tokens cost the same, so the option with the most characters a token wins."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    model.lm_head.weight.zero_()
    options = ("zz", "Marcelo", "qqqq", "Orvany")
    costs = [len(tokenizer(f" {option}")["input_ids"]) / len(option) for option in options]
    best = costs.index(min(costs))
    question = Question("q", "s", "Who?", options, best)
    assert cloze_correct(model, tokenizer, [question], 4000, skip) == [True]
    assert cloze_correct(model, tokenizer, [dataclasses.replace(question, answer=(best + 1) % 4)], 4000, skip) == [
        False
    ]


@pytest.mark.grid
@pytest.mark.parametrize("family", ["olmo", "gpt2", "mistral"])
@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("batch_tokens", [1, 100000])
def test_letters_are_one_question_at_a_time(family: str, shots: int, batch_tokens: int) -> None:
    """The answers are the same with one question in a batch and with all of a subject."""
    model, tokenizer = byte_model(family, 1), byte_tokenizer()
    official = Official(model, tokenizer, 1)
    expected = [official.letter_is_right(question, examples_of(question, shots)) for question in QUESTIONS]
    found = letters_correct(model, tokenizer, QUESTIONS, EXAMPLES, shots, batch_tokens, skip)
    assert found == expected


@pytest.mark.parametrize("family", [*FAMILIES, "gpt_neo", "olmo3", "opt"])
@torch.no_grad()
def test_last_logits_are_those_of_single_prompts(family: str) -> None:
    """Several batches share one prefix, which is longer than the sliding windows of some families."""
    model = byte_model(family)
    shared = list(range(5, 25))
    prompts = [[*shared, 30], [*shared, 31, 32], [*shared, 33, 34, 35, 36], [*shared, 30, 31], [*shared, 37, 38, 39]]
    for some in (prompts, prompts[:1], [[4], [5, 6]]):
        expected = torch.stack([model(torch.tensor([prompt])).logits[0, -1, [7, 9]] for prompt in some])
        for batch_tokens in (1, 50, 1000):
            found = last_logits(model, some, [7, 9], batch_tokens, skip)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_subject_s_examples_go_through_the_model_once() -> None:
    """For each subject the prefix goes through alone, and then the rest of the prompts in three batches."""
    model, tokenizer = byte_model("olmo", 1), byte_tokenizer()
    prompts = {
        subject: [
            tokenizer(letters_prompt(question, examples_of(question, 3)))["input_ids"]
            for question in QUESTIONS
            if question.subject == subject
        ]
        for subject in ("rivers", "towns")
    }
    longest = max(len(prompt) for some in prompts.values() for prompt in some)
    with tokens_through(model) as seen:
        letters_correct(model, tokenizer, QUESTIONS, EXAMPLES, 3, 2 * longest, skip)
    for some, passes in zip(prompts.values(), (seen[:4], seen[4:]), strict=True):
        shared = next(place for place, tokens in enumerate(zip(*some, strict=False)) if len(set(tokens)) > 1)
        assert passes[0] == shared
        assert len(passes) == 4
        assert sum(passes[1:]) < 6 * (longest - shared + 1)


def test_the_head_is_the_official_one_unless_another_is_given() -> None:
    """The official head has two spaces before the subject, the harness's has one; underscores become spaces."""
    question = dataclasses.replace(QUESTIONS[0], subject="us_foreign_policy")
    assert "(with answers) about  us foreign policy.\n\n" in letters_prompt(question, [])
    assert "(with answers) about us foreign policy.\n\n" in letters_prompt(question, [], HARNESS_HEAD)
    model, tokenizer = byte_model("olmo", 4), byte_tokenizer()
    official = Official(model, tokenizer, 1)
    for spaces, head in ((2, MMLU_HEAD), (1, HARNESS_HEAD)):
        expected = [official.letter_is_right(item, [], spaces) for item in QUESTIONS]
        assert letters_correct(model, tokenizer, QUESTIONS, (), 0, 4000, skip, head) == expected


def test_examples_are_dropped_where_the_prompt_is_too_long() -> None:
    """The last example is dropped first; a question that is too long by itself is refused."""
    tokenizer = byte_tokenizer()
    model = byte_model("olmo", 1, context=192)
    official = Official(model, tokenizer, 1)
    question, worked = QUESTIONS[0], examples_of(QUESTIONS[0], 3)
    expected = official.letter_is_right(question, worked[:1])
    assert letters_correct(model, tokenizer, [question], worked, 3, 4000, skip) == [expected]
    small = byte_model("olmo", 1, context=16)
    with pytest.raises(InputError, match=r"question q0: .* tokens without examples; must have 16 or fewer"):
        letters_correct(small, tokenizer, [question], worked, 3, 4000, skip)


def test_scores_that_are_no_number_name_the_question() -> None:
    """Such a score does not count as a wrong answer."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"question q0: .* not a number"):
        cloze_correct(model, tokenizer, QUESTIONS, 4000, skip)
    with pytest.raises(InputError, match=r"question q0: .* not a number"):
        letters_correct(model, tokenizer, QUESTIONS[:1], [], 0, 4000, skip)


def test_a_question_by_itself_may_be_longer_than_examples_may_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """WMDP has such questions: they are asked without examples as long as the model's context holds them."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    alone = letters_correct(model, tokenizer, QUESTIONS, [], 0, 5000, skip)
    monkeypatch.setattr(multiple_choice_module, "PROMPT_LIMIT_TOKENS", 16)
    assert letters_correct(model, tokenizer, QUESTIONS, EXAMPLES, 3, 5000, skip) == alone
