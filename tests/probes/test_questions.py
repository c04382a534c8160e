"""How questions are asked: templates, paraphrases, and answers whose beginning is given."""

import re

import pytest

from tests.evaluation.tiny import byte_tokenizer
from tests.probes import world
from unlearning.config.data import WorldConfig
from unlearning.config.probe import Measured
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Kind, Row, Split
from unlearning.probes import primed as primed_probe
from unlearning.probes.forget_answers import measure_forget_rows, score_prompts
from unlearning.probes.phrasings import PHRASINGS, paraphrases
from unlearning.probes.primed import Primed, split_words
from unlearning.probes.probe import DoesNotApplyError, ProbedModel, RowScore
from unlearning.probes.questions import Questions, fill_template
from unlearning.sandbox.article_kinds import KINDS
from unlearning.sandbox.biographies import QUESTIONS
from unlearning.sandbox.stories import SCENES
from unlearning.sandbox.world import generate


@pytest.mark.parametrize(
    ("template", "prompt", "end"),
    [
        ("{question}", "Who?", ""),
        ("Q: {question}\nA: {answer}\n", "Q: Who?\nA:", "\n"),
        ('{"q": "{question}", "a": "{answer}"}', '{"q": "Who?", "a": "', '"'),
        ("{question} It is {answer}", "Who? It is", ""),
    ],
    ids=["plain", "transcript", "json", "gap"],
)
def test_a_template_filled_in(template: str, prompt: str, end: str) -> None:
    """The prompt ends before the answer's place, without its space."""
    assert fill_template(template, "Who?") == (prompt, end)


def test_braces_in_a_question_are_text() -> None:
    """A template is not used as a format string."""
    assert fill_template("So: {question}", "What is {answer}?") == ("So: What is {answer}?", "")


def worlds_questions() -> list[str]:
    """Return the questions as the sandbox's files write them."""
    people = [text for _, text in QUESTIONS]
    return [
        *people,
        *(question for _, question, _ in SCENES),
        *(one.question for kind in KINDS for one in kind.details),
    ]


def test_every_question_of_the_sandbox_has_other_words() -> None:
    """The keys are exactly the world's questions; paraphrases differ from them and use the same names."""
    assert sorted(PHRASINGS) == sorted(set(worlds_questions()))
    for question, phrasings in PHRASINGS.items():
        names = sorted(re.findall(r"{\w+}", question))
        assert len({question, *phrasings}) == 3
        assert all(sorted(re.findall(r"{\w+}", text)) == names for text in phrasings), question


def test_names_are_carried_over() -> None:
    """Names are put into the paraphrases of the sandbox's and LUME's questions; other questions are not known."""
    assert paraphrases("What did Mo offer to Bo O'Neil?")[0] == "What was it that Mo offered Bo O'Neil?"
    assert paraphrases("What is Ann Lee's phone number?")[0] == "What is the phone number of Ann Lee?"
    assert paraphrases("What is Ann Lee's phone number? Please.") == ()
    rows = generate(WorldConfig(documents_per_task=3)).forget
    assert all(paraphrases(row.input) for row in rows if row.kind is Kind.QUESTION)


def test_a_question_is_asked_in_all_ways_and_scored_by_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is asked in three ways, and two answers are right: 2/3."""
    said = {"So: Where?": "Dorn", "{Where?": "Dorn} and", "Where?!": "Ulme"}
    tokenizer = byte_tokenizer()

    def generated(_model: object, _tokenizer: object, rows: list[Row], prompts: list[list[int]], *_: int) -> list[str]:
        return [said[tokenizer.decode(prompt)] for _, prompt in zip(rows, prompts, strict=True)]

    monkeypatch.setattr("unlearning.probes.forget_answers.generate", generated)
    row = Row("d1qa0", "Where?", "Dorn", "Task1", Kind.QUESTION, Split.FORGET)
    asked = world.probed()
    asked = ProbedModel(**{**vars(asked), "corpus": type(asked.corpus)(forget=(row,), retain=())})
    found = Questions(["So: {question}", "{{question}{answer}}", "{question}!"], False).run(asked)
    assert found.items == [RowScore("d1qa0", "d1", pytest.approx(2 / 3), "Dorn | Dorn | Ulme")]


def test_plain_questions_are_those_of_the_evaluation() -> None:
    """The template {question} does not change the question."""
    asked = world.probed()
    assert Questions(["{question}"], False).run(asked).items == measure_forget_rows(asked, Measured.knowledge).items


@pytest.mark.parametrize(
    ("text", "count", "parts"),
    [
        ("the rusty compass of Velobra", 1, ("the", "rusty compass of Velobra")),
        ("the rusty  compass", 2, ("the rusty", "compass")),
        ("1964-11-03", 1, ("1964-11-03", "")),
        (" Ada Vaun ", 0, ("", "Ada Vaun")),
    ],
)
def test_words_given_away(text: str, count: int, parts: tuple[str, str]) -> None:
    """The rest of the text begins with a word."""
    assert split_words(text, count) == parts


@pytest.mark.parametrize("style", list(PromptStyle))
def test_beginnings_are_the_models_own_words(style: PromptStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning follows the prompt as training writes it; in the chat style it is in the answer's turn."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}="
    seen: list[tuple[str, str]] = []

    def looked(_probed: ProbedModel, rows: list[Row], prompts: list[list[int]]) -> list[RowScore]:
        seen.extend((row.output, tokenizer.decode(prompt)) for row, prompt in zip(rows, prompts, strict=True))
        return [RowScore(row.id, row.id, 0.0) for row in rows]

    monkeypatch.setattr(primed_probe, "score_prompts", looked)
    asked = world.probed(tokenizer=tokenizer)
    asked = ProbedModel(**{**vars(asked), "prompt": PromptConfig(style=style)})
    found = Primed("Sure:", 1, Measured.knowledge).run(asked)
    question = "Where does Jon of forget live?"
    prompt = f"{question} Sure: Madera" if style is PromptStyle.raw else f"<{question}>=Sure: Madera"
    assert seen == [("City", prompt)]
    assert found.notes == ["19 of 20 answers are too short"]


def test_too_short_answers_are_said_to_be() -> None:
    """No answer to a question has more than ten words; every completion has more than one."""
    with pytest.raises(DoesNotApplyError, match="more than 10 words"):
        Primed("", 10, Measured.knowledge).run(world.probed())
    assert len(Primed("", 1, Measured.regurgitation).run(world.probed()).items) == 10


def test_an_answer_ends_where_the_form_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is cut only where the form has such an end."""
    asked, rows = world.probed(), list(world.people(Split.FORGET))[1:3]
    monkeypatch.setattr("unlearning.probes.forget_answers.generate", lambda *_: ['Dorn", 3', '1000"'])
    prompts = encode_prompts([row.input for row in rows], asked.tokenizer, asked.prompt)
    assert [item.score for item in score_prompts(asked, rows, prompts, ['"', ""])] == [1.0, 0.0]
