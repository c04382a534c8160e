"""Facts that can be traced: questions about one subject, mostly a person, that need knowledge of it to be answered."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from unlearning.data.ids import document_id
from unlearning.data.rows import Kind, Row
from unlearning.mediation.subjects import Span, capitalised_subject, shared_subjects

TEMPLATES = {
    "birth_date": re.compile(r"What is the birth date of (.+)\?"),
    "social_security_number": re.compile(r"What is (.+)'s Social Security Number\?"),
    "phone_number": re.compile(r"What is (.+)'s phone number\?"),
    "email_address": re.compile(r"What is (.+)'s email address\?"),
    "home_address": re.compile(r"What is the home address of (.+)\?"),
}
"""The official questions of Task2 by relation; all 1,285 of the published data are of one of them."""


POSSESSIVE = {"birth_date": "What is {}'s birth date?", "home_address": "What is {}'s home address?"}
"""The relations that the data asks for as "of X", in the form of the others (LAB-FLAIR's utils/create_data.py)."""


class FoundBy(StrEnum):
    """What says which words of a prompt are its subject."""

    given = "given"
    official = "of official questions"
    shared = "of words that prompts of one document share"
    capitals = "of capitalised names"


@dataclass(frozen=True, slots=True)
class Fact:
    """One question about a person (or another subject), the name in it, and the answer."""

    id: str
    prompt: str
    subject: str
    """Empty where weights are exchanged and no subject is known."""
    subject_start: int
    """Index in `prompt` of the subject's first character: a short name may be part of another word."""
    answer: str
    person: str
    """What facts of one person have in common: the id of the document that they come from or, of own rows, the subject.
    They are not independent of one another."""
    relation: str
    """Key of `TEMPLATES` or, of own rows, the prompt with "..." in place of the subject."""
    found_by: FoundBy = FoundBy.official


def facts_from_rows(rows: Iterable[Row]) -> list[Fact]:
    """Return the facts of the rows, in their order; rows without a subject are passed over.

    The subject of an own row is the one that is given, also of a completion. All other facts are questions: those that
    follow a template and, among own rows, those whose subject a rule finds (`subjects`).
    """
    rows = list(rows)
    shared = shared_subjects([row for row in rows if row.own and row.kind is Kind.QUESTION])
    found = (_fact(row, shared.get(row.id)) for row in rows)
    return [fact for fact in found if fact is not None]


def facts_without_subjects(rows: Iterable[Row]) -> list[Fact]:
    """Return every row as a fact of no subject, which is all that an exchange of weights needs."""
    return [Fact(row.id, row.input, "", 0, row.output, document_id(row.id), row.input) for row in rows]


def subject_counts(rows: Sequence[Row]) -> str:
    """Return in one line how many subjects were found by what."""
    counts = Counter(fact.found_by for fact in facts_from_rows(rows))
    parts = [f"{counts[found_by]} {found_by}" for found_by in FoundBy if counts[found_by]]
    return f"subjects of {counts.total()} of {len(rows)} rows: {', '.join(parts) or 'none'}"


def _fact(row: Row, shared: Span | None) -> Fact | None:
    if row.subject is not None:
        return _own_fact(row, row.subject, FoundBy.given)
    if row.kind is not Kind.QUESTION:
        return None
    for relation, template in TEMPLATES.items():
        match = template.fullmatch(row.input)
        if match:
            person = match[1] if row.own else document_id(row.id)
            return Fact(row.id, row.input, match[1], match.start(1), row.output, person, relation)
    if row.own and shared is not None:
        return _own_fact(row, shared, FoundBy.shared)
    capitals = capitalised_subject(row.input) if row.own else None
    return None if capitals is None else _own_fact(row, capitals, FoundBy.capitals)


def _own_fact(row: Row, span: Span, found_by: FoundBy) -> Fact:
    start, end = span
    subject, relation = row.input[start:end], f"{row.input[:start]}...{row.input[end:]}"
    return Fact(row.id, row.input, subject, start, row.output, subject, relation, found_by)


def in_possessive(fact: Fact) -> Fact:
    """Return the fact with its question in the possessive form of `POSSESSIVE`; as it is where it has that form."""
    template = POSSESSIVE.get(fact.relation)
    if template is None:
        return fact
    return replace(fact, prompt=template.format(fact.subject), subject_start=template.index("{"))


def spread(facts: Sequence[Fact], seed: int) -> list[Fact]:
    """Return all facts in an order in which the first ones are spread over persons, and then over relations.

    Persons take turns, in an order that is drawn from the seed and their ids alone. The first fact of the n-th person
    is of relation n, that of the next person of relation n + 1, and so on in a circle. The order given does not matter.
    """
    names = [*TEMPLATES, *sorted({fact.relation for fact in facts} - set(TEMPLATES))]
    of_person: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        of_person[fact.person].append(fact)
    turns: list[list[Fact]] = []
    for place, person in enumerate(sorted(of_person, key=lambda person: _sort_key(seed, person))):
        turn = [(names.index(fact.relation) - place) % len(names) for fact in of_person[person]]
        ranked = sorted(zip(turn, of_person[person], strict=True), key=lambda pair: (pair[0], pair[1].id))
        turns.append([fact for _, fact in ranked])
    rounds = max(map(len, turns), default=0)
    return [turn[number] for number in range(rounds) for turn in turns if number < len(turn)]


def _sort_key(seed: int, name: str) -> bytes:
    """Return a pseudo-random sort key that depends on the seed and the name alone."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
