"""Which rows are facts, and the order in which they are traced."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mediation.builders import PERSON, QUESTIONS, rows_of
from unlearning.config.data import WorldConfig
from unlearning.data.rows import Kind, Split
from unlearning.data.semeval import SemevalReader
from unlearning.mediation.facts import TEMPLATES, facts_from_rows, in_possessive, spread
from unlearning.sandbox.world import generate

ANSWERS = ("1976-03-29", "900578002", "5655779919", "goldi_aqua@me.com", "1011 San Jose Street")


def test_each_template_gives_its_relation_and_the_name() -> None:
    rows = rows_of(1, "Goldi Aqua", ANSWERS)
    facts = facts_from_rows(rows)
    assert [fact.relation for fact in facts] == list(TEMPLATES)
    assert {fact.subject for fact in facts} == {"Goldi Aqua"}
    assert {fact.person for fact in facts} == {f"{PERSON}1"}
    assert [fact.answer for fact in facts] == list(ANSWERS)
    assert [fact.id for fact in facts] == [row.id for row in rows]


@pytest.mark.parametrize("name", ["Goldi Aqua", "at", "Zoë O'Neill-Müller", "Al's", "hat is the", "李小龙"])
def test_the_subject_is_where_the_template_has_it(name: str) -> None:
    """The name "at" is also a part of "What"."""
    for fact, question in zip(facts_from_rows(rows_of(1, name, ANSWERS)), QUESTIONS, strict=True):
        assert fact.subject == name
        assert fact.subject_start == question.index("{")


@pytest.mark.parametrize("name", ["Goldi Aqua", "s", "Zoë O'Neill-Müller"])
def test_all_relations_in_the_possessive_form(name: str) -> None:
    """Two of the five questions change; of a fact only prompt and subject_start do."""
    facts = facts_from_rows(rows_of(1, name, ANSWERS))
    changed = [in_possessive(fact) for fact in facts]
    assert [fact.prompt for fact in changed] == [
        f"What is {name}'s {asked}?"
        for asked in ("birth date", "Social Security Number", "phone number", "email address", "home address")
    ]
    for fact, before in zip(changed, facts, strict=True):
        assert fact.prompt[fact.subject_start :].startswith(f"{name}'s ")
        assert replace(fact, prompt=before.prompt, subject_start=before.subject_start) == before


def test_other_rows_are_passed_over() -> None:
    row = rows_of(1, "Goldi Aqua", ANSWERS)[0]
    others = [
        replace(row, kind=Kind.COMPLETION),
        replace(row, input="What did Rodney trade for a horse?"),
        replace(row, input="Tell me: What is the birth date of Goldi Aqua?"),
        replace(row, input="What is the birth date of ?"),
    ]
    assert facts_from_rows(others) == []


def test_order_takes_persons_in_turn_and_relations_in_turn() -> None:
    facts = facts_from_rows(row for number in range(7) for row in rows_of(number, f"N{number}", ANSWERS))
    order = spread(facts, seed=0)
    assert sorted(fact.id for fact in order) == sorted(fact.id for fact in facts)
    for start in range(0, 35, 7):
        assert len({fact.person for fact in order[start : start + 7]}) == 7
    assert [fact.relation for fact in order[:7]] == [*TEMPLATES, *TEMPLATES][:7]
    assert Counter(fact.relation for fact in order[:5]) == dict.fromkeys(TEMPLATES, 1)


def test_order_depends_on_seed_and_ids_alone() -> None:
    facts = facts_from_rows(row for number in range(7) for row in rows_of(number, f"N{number}", ANSWERS))
    assert spread(facts[::-1], seed=0) == spread(facts, seed=0)
    assert spread(facts, seed=1) != spread(facts, seed=0)
    assert spread([], seed=0) == []


def test_persons_with_fewer_facts_drop_out_of_later_rounds() -> None:
    facts = facts_from_rows([*rows_of(1, "A", ANSWERS), *rows_of(2, "B", ANSWERS[:2])])
    order = spread(facts, seed=0)
    assert len(order) == 7
    assert {fact.person for fact in order[:4]} == {f"{PERSON}1", f"{PERSON}2"}
    assert {fact.person for fact in order[4:]} == {f"{PERSON}1"}


def test_every_sandbox_question_about_a_person_is_a_fact() -> None:
    corpus = generate(WorldConfig(documents_per_task=2))
    asked = [row for row in corpus.forget if row.task == "Task2" and row.kind is Kind.QUESTION]
    found = facts_from_rows(corpus.forget)
    assert len(found) == len(asked) == 10
    assert len({fact.person for fact in found}) == 2


@pytest.mark.official
@pytest.mark.skipif("UNLEARNING_DATA" not in os.environ, reason="UNLEARNING_DATA is not set: no official data")
def test_every_official_question_about_a_person_is_a_fact() -> None:
    folder = Path(os.environ["UNLEARNING_DATA"]) / "semeval25" / "data"
    rows = []
    for split in Split:
        for file in sorted(folder.glob(f"{split}_*.parquet")):
            rows += [located.row for located in SemevalReader().rows([str(file)], split)]
    facts = facts_from_rows(rows)
    assert len(facts) == sum(row.task == "Task2" and row.kind is Kind.QUESTION for row in rows) == 1285
    assert Counter(Counter(fact.person for fact in facts).values()) == {5: 257}
    assert all(fact.subject in fact.prompt for fact in facts)
