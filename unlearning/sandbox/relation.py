"""What a relation of general knowledge is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing that can be said about a subject's entities."""

    question: str
    values: tuple[str, ...]
    phrasings: tuple[str, ...]


def relation(question: str, values: str, *phrasings: str) -> Relation:
    """A relation whose values stand in one string, separated by spaces."""
    return Relation(question, tuple(values.split()), phrasings)
