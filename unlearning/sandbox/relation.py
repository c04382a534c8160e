"""The relations of general knowledge."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between a subject's entities and values, such as "the language of a town"."""

    question: str
    values: tuple[str, ...]
    phrasings: tuple[str, ...]
    """Beginnings of sentences, with the entity as "{entity}", that end with the value."""


def relation(question: str, values: str, *phrasings: str) -> Relation:
    """Return a relation whose values stand in one string, separated by spaces."""
    return Relation(question, tuple(values.split()), phrasings)
