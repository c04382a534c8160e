"""Which words of one's own prompts are the subject."""

import pytest

from unlearning.data.rows import Kind, Row, Split
from unlearning.mediation.facts import FoundBy, facts_from_rows, spread, subject_counts
from unlearning.mediation.subjects import capitalised_subject, shared_subjects

FORGET = [f"Where does {name} live?" for name in ("Ada Brook", "Tim Vale", "Ola Fenn")]


def own(prompt: str, name: str = "1", subject: str | None = None, kind: Kind = Kind.QUESTION) -> Row:
    start = prompt.index(subject) if subject else 0
    span = (start, start + len(subject)) if subject else None
    return Row(name, prompt, "Norwick", "Task1", kind, Split.FORGET, own=True, subject=span)


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("Where does Ada Brook live?", "Ada Brook"),
        ("Does Ada Brook live in Norwick?", "Ada Brook"),
        ("In which town was O'Neill-Müller born?", "O'Neill-Müller"),
        ("Who knows J. R. Smith?", "J. R. Smith"),
        ("Where is Ada? Brook is here.", "Ada"),
        ("Ada Brook lives in", "Ada Brook"),
        ("Где живёт Ада Брук?", "Ада Брук"),
        ("What is Ada Brook's phone number?", "Ada Brook"),
        ("Paint it black.", None),
        ("Where do I live?", None),
        ("艾达住在哪里？", None),
        ("", None),
    ],
)
def test_a_capitalised_name(prompt: str, subject: str | None) -> None:
    span = capitalised_subject(prompt)
    assert (None if span is None else prompt[slice(*span)]) == subject


DOCUMENTS = [
    (["where does ada brook live?", "and where was ada brook born?"], "ada brook"),
    (["where does tim vale live?", "when was tim vale born?"], "tim vale"),
    (["where does ola fenn live?", "where does ola fenn work?"], "ola fenn"),
    (["where does ugo marsh live?"], None),
    (["where does one live?", "when was another born?"], None),
]


def test_words_that_prompts_of_a_document_share() -> None:
    """Without the words that most of the other documents have too."""
    rows = [
        own(prompt, f"p{number}qa{place}")
        for number, (prompts, _) in enumerate(DOCUMENTS)
        for place, prompt in enumerate(prompts)
    ]
    found = shared_subjects(rows)
    wanted = [subject for prompts, subject in DOCUMENTS for _ in prompts]
    names = [row.input[slice(*found[row.id])] if row.id in found else None for row in rows]
    assert names == wanted


def test_shared_words_of_a_script_without_spaces() -> None:
    texts = {"p1qa0": "艾达住在哪里", "p1qa1": "艾达出生在哪里", "p2qa0": "明明住在哪里", "p2qa1": "明明出生在哪里"}
    found = shared_subjects([own(text, name) for name, text in texts.items()])
    assert [texts[name][slice(*span)] for name, span in found.items()] == ["艾达", "艾达", "明明", "明明"]


def test_one_document_alone_shares_nothing() -> None:
    """Its prompts would share their question words too."""
    assert shared_subjects([own("where is ada?", "p1qa0"), own("where was ada?", "p1qa1")]) == {}


def test_facts_of_ones_own_rows() -> None:
    rows = [
        own("The capital of France is", "1", "France", Kind.COMPLETION),
        own("What is the birth date of Ada Brook?", "2"),
        own("Where does Ada Brook live?", "3"),
        own("Ada Brook lives in", "4", kind=Kind.COMPLETION),
        own("Why?", "5"),
    ]
    facts = facts_from_rows(rows)
    assert [(fact.id, fact.subject, fact.relation, fact.found_by) for fact in facts] == [
        ("1", "France", "The capital of ... is", FoundBy.given),
        ("2", "Ada Brook", "birth_date", FoundBy.official),
        ("3", "Ada Brook", "Where does ... live?", FoundBy.capitals),
    ]
    assert all(fact.prompt[fact.subject_start :].startswith(fact.subject) for fact in facts)
    # The facts about one person are dependent, wherever they come from.
    assert [fact.person for fact in facts] == ["France", "Ada Brook", "Ada Brook"]
    assert subject_counts(rows) == ("subjects of 3 of 5 rows: 1 given, 1 of official questions, 1 of capitalised names")
    assert subject_counts(rows[3:]) == "subjects of 0 of 2 rows: none"


def test_relations_of_ones_own_rows_take_turns() -> None:
    """As official ones do: the first facts are of different persons, and of different relations in turn."""
    names = ("Ada Brook", "Tim Vale")
    prompts = [f"{question} {name}?" for name in names for question in ("Where is", "How old is")]
    facts = facts_from_rows([own(prompt, str(number)) for number, prompt in enumerate(prompts)])
    order = spread(facts, seed=0)
    assert len({fact.person for fact in order[:2]}) == len({fact.person for fact in order[2:]}) == 2
    assert sorted(fact.id for fact in order) == list("0123")
    assert spread(facts[::-1], seed=0) == order
