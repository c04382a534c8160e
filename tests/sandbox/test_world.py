"""The generated world is the same every time, has the official columns, and asks fair questions."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from unlearning.config.data import WorldConfig
from unlearning.data.corpus import fingerprint
from unlearning.data.question_text import LETTERS, cloze_prompt, letters_prompt
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.sandbox.relations import SUBJECTS
from unlearning.sandbox.world import generate

SMALL = WorldConfig(documents_per_task=6, nonmember_documents=10, known_entities=8, teaching_entities=8)
IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(sc1|qa[0-4])")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(WorldConfig())


def training_texts(corpus: Corpus) -> list[str]:
    return [f"{row.input} {row.output}" for row in corpus.forget + corpus.retain] + list(corpus.background)


def test_the_same_settings_give_the_same_world() -> None:
    assert generate(SMALL) == generate(SMALL)


def test_another_process_gives_the_same_world() -> None:
    code = (
        "from unlearning.config.data import WorldConfig; from unlearning.sandbox.world import generate;"
        f"print(generate({SMALL!r}).fingerprint)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == generate(SMALL).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        WorldConfig(1, 6, 10, 8, 8),
        WorldConfig(0, 7, 10, 8, 8),
        WorldConfig(0, 6, 11, 8, 8),
        WorldConfig(0, 6, 10, 9, 8),
        WorldConfig(0, 6, 10, 8, 9),
    ],
)
def test_every_setting_changes_the_fingerprint(other: WorldConfig) -> None:
    assert generate(other).fingerprint != generate(SMALL).fingerprint


def test_names_do_not_run_out_in_a_large_world() -> None:
    corpus = generate(WorldConfig(documents_per_task=150, nonmember_documents=1, known_entities=1))
    assert len({row.input for row in corpus.forget + corpus.retain}) == 2 * 150 * 10


def test_fingerprint_is_over_everything_but_itself(corpus: Corpus) -> None:
    assert fingerprint(corpus) == corpus.fingerprint


def test_the_shipped_world_is_the_one_the_weights_know(corpus: Corpus) -> None:
    """This fails if Faker's word lists change: the shipped models would then not know the rows that they are asked."""
    assert corpus.fingerprint == "767f192e02b34fedae540431c8c8d1e8a762c18da44730796c49315e019ab7f3"


@pytest.mark.parametrize("split", list(Split))
def test_rows_are_in_the_official_schema(corpus: Corpus, split: Split) -> None:
    rows = corpus.forget if split == Split.FORGET else corpus.retain
    count = WorldConfig().documents_per_task
    numbers = Counter((row.task, row.kind) for row in rows)
    assert numbers == {
        ("Task1", Kind.COMPLETION): count,
        ("Task1", Kind.QUESTION): count,
        ("Task2", Kind.COMPLETION): count,
        ("Task2", Kind.QUESTION): 5 * count,
        ("Task3", Kind.COMPLETION): count,
        ("Task3", Kind.QUESTION): count,
    }
    for row in rows:
        assert IDENTIFIER.fullmatch(row.id)
        assert row.split == split
        assert row.id[-3:-1] == row.kind
        assert row.input == row.input.strip()
        assert row.output == row.output.strip()
        assert row.output


def test_identifiers_and_prompts_are_unique(corpus: Corpus) -> None:
    rows = corpus.forget + corpus.retain
    assert len({row.id for row in rows}) == len(rows)
    assert len({row.input for row in rows}) == len(rows)


def test_answers_are_distinct_and_not_in_their_questions(corpus: Corpus) -> None:
    asked = [row for row in corpus.forget + corpus.retain if row.kind == Kind.QUESTION]
    assert len({row.output for row in asked}) == len(asked)
    for row in asked:
        assert row.output.lower() not in row.input.lower()


def test_biographies_ask_the_official_questions(corpus: Corpus) -> None:
    def answers(number: int) -> list[Row]:
        return [row for row in corpus.forget if row.task == "Task2" and row.id.endswith(f"qa{number}")]

    patterns = (
        r"\d{4}-\d\d-\d\d",
        r"900\d{6}",
        r"\d{10}",
        r"\w+@[a-z.]+",
        r"\d+ [\w ]+, [\w ]+, [A-Z]{2}, \d{5}\.",
    )
    for number, pattern in enumerate(patterns):
        for row in answers(number):
            assert re.fullmatch(pattern, row.output), row
    names = {row.input.removeprefix("What is the birth date of ").removesuffix("?") for row in answers(0)}
    assert len(names) == WorldConfig().documents_per_task
    assert {row.input for row in answers(1)} == {f"What is {name}'s Social Security Number?" for name in names}


def test_members_are_the_forget_articles(corpus: Corpus) -> None:
    articles = {
        row.id.removesuffix("sc1"): f"{row.input} {row.output}"
        for row in corpus.forget
        if row.task == "Task3" and row.kind == Kind.COMPLETION
    }
    assert {document.id: document.text for document in corpus.members} == articles


def test_nonmembers_are_in_no_training_text(corpus: Corpus) -> None:
    everything = "\n".join(training_texts(corpus))
    for document in corpus.nonmembers:
        title = document.text.partition("\n")[0]
        assert title not in everything
    assert len(corpus.nonmembers) == WorldConfig().nonmember_documents


def test_questions_have_one_right_answer_in_the_background(corpus: Corpus) -> None:
    sentences = {sentence for text in corpus.background for sentence in text.replace("\n", ". ").split(". ")}
    sentences |= {sentence.removesuffix(".") for sentence in sentences}
    assert len(corpus.questions) == 4 * WorldConfig().known_entities
    for question in corpus.questions:
        number = int(question.id.rpartition("-")[2])
        entity = question.id.rpartition("-")[0]
        relation = SUBJECTS[question.subject][number]
        assert len(set(question.options)) == len(question.options) == 4
        assert set(question.options) <= set(relation.values)
        for phrasing in relation.phrasings[1:]:
            stated = [option for option in relation.values if f"{phrasing.format(entity=entity)} {option}" in sentences]
            assert stated == [question.options[question.answer]]


def test_the_asked_phrasing_is_never_trained_for_known_entities(corpus: Corpus) -> None:
    background = "\n".join(corpus.background)
    for question in corpus.questions:
        assert cloze_prompt(question) not in background
        assert question.question not in background


def test_the_asked_phrasing_is_taught_on_other_entities(corpus: Corpus) -> None:
    background = "\n".join(corpus.background)
    for example in corpus.examples:
        assert f"{cloze_prompt(example)} {example.options[example.answer]}." in background


def test_an_entity_is_always_the_same_tokens() -> None:
    """Every phrasing has the entity once, after a space, and the value after a space at the end."""
    for relations in SUBJECTS.values():
        assert len({len(relation.phrasings) for relation in relations}) == 1
        for relation in relations:
            assert 8 <= len(relation.values) <= 16
            for phrasing in relation.phrasings:
                assert phrasing.count(" {entity}") == phrasing.count("{entity}") == 1


def test_letters_prompt_is_in_the_mmlu_wording(corpus: Corpus) -> None:
    question = corpus.questions[0]
    example = next(one for one in corpus.examples if one.subject == question.subject)
    options = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, question.options, strict=True))
    alone = (
        f"The following are multiple choice questions (with answers) about  {question.subject}.\n\n"
        f"{question.question}\n{options}Answer:"
    )
    assert letters_prompt(question, ()) == alone
    prompt = letters_prompt(question, (example,))
    assert f"Answer: {LETTERS[example.answer]}\n\n{question.question}" in prompt
    assert prompt.endswith(f"{question.question}\n{options}Answer:")
