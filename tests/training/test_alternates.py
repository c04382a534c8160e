"""Answers that the model itself invents: what it is asked, what can be used, and that it is asked once."""

from pathlib import Path

import pytest

from tests.evaluation.tiny import byte_model, byte_tokenizer, greedy_text
from tests.training.test_identity import Started, begin, sandbox
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.config.commands import UnlearnConfig
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.rows import Kind, Row, Split
from unlearning.training import alternates
from unlearning.training import unlearn as training_unlearn
from unlearning.training.alternates import ALTERNATES, invented_answers, request, usable
from unlearning.training.task import TrainingTask

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CHAT = PromptConfig(style=PromptStyle.chat)
ROWS = [
    Row("aqa0", "Where is {output}?", "Dorn", "Task2", Kind.QUESTION, Split.FORGET),
    Row("bsc1", "Once", "upon a time", "Task1", Kind.COMPLETION, Split.FORGET),
]


def test_the_model_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is the greedy one to the request; the file answers the second time, but not for other rows."""
    monkeypatch.setattr(alternates, "NEW_TOKENS", 8)
    model, tokenizer = byte_model("olmo", 3), byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    file = tmp_path / ALTERNATES
    asked = [f"<user>{request(row)}<assistant>" for row in ROWS]
    assert asked[0].startswith("<user>Question: Where is {output}?\nAnswer: Dorn\n\nWrite a different answer")
    expected = [greedy_text(model, tokenizer, text, 8, {0}).strip() for text in asked]
    assert invented_answers(ROWS, model, tokenizer, CHAT, 4000, file) == expected
    monkeypatch.setattr(alternates, "generate", lambda *_: ["new"])
    assert invented_answers(ROWS, model, tokenizer, CHAT, 4000, file) == expected
    assert invented_answers(ROWS[:1], model, tokenizer, CHAT, 4000, file) == ["new"]


def test_what_cannot_be_used_is_empty() -> None:
    """Nothing, the own answer in other letters, and what makes the row too long."""
    tokenizer = byte_tokenizer()
    prompt = PromptConfig(max_tokens=40)
    found = [usable(ROWS[:1], [text], tokenizer, prompt) for text in ("Ulme", "", " dorn", "x" * 99)]
    assert found == [["Ulme"], [""], [""], [""]]


def test_a_run_trains_on_what_its_model_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other answers of the training rows are those of the file; a run that goes on has the same identity."""
    config = sandbox("unlearn", "method=altpo", "objective.answers=own_and_invented", "prompt.style=chat")
    assert isinstance(config, UnlearnConfig)
    known = read_inputs(config)
    inputs = load_inputs(config, known)
    inputs.tokenizer.chat_template = TEMPLATE
    given = [f"Place {number}" for number in range(len(inputs.corpus.forget))]
    tasks: list[TrainingTask] = []

    def fit(task: TrainingTask, *_: object) -> None:
        tasks.append(task)
        begin(task)

    monkeypatch.setattr(training_unlearn, "fit", fit)
    for answers in (given, ["never asked"] * len(given)):
        monkeypatch.setattr(alternates, "generate", lambda *_, answers=answers: answers)
        with pytest.raises(Started):
            training_unlearn.unlearn_model(config, inputs.model, inputs.tokenizer, inputs.corpus, None, tmp_path, [])
    first, second = tasks
    said = [inputs.tokenizer.decode(row.input_ids[row.supervised_from :]) for row in first.rows.refusals]
    assert [text.removesuffix("<|endoftext|>").strip() for text in said] == given
    assert first.rows == second.rows
    assert first.identity == second.identity
