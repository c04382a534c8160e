"""Foils: the same question about other persons, to corrupt with and to compare with.

A foil is, in the words of contrastive explanation, the answer that could have been given instead. Here it is another
person's fact of the same relation. Its name is put in the place of the subject's (the replacement corruption and the
placebo), and its answer is held against the fact's own (the logit difference).
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from unlearning.mediation.encoded_fact import EncodedFact

FOILS = 2
"""Most foils of a fact: one to corrupt with, another for the placebo."""


def with_foils(facts: Sequence[EncodedFact], pool: Sequence[EncodedFact], seed: int) -> list[EncodedFact]:
    """Return the facts, each with up to two foils from the pool and with an answer that contrasts with its own.

    A foil asks the same about another person whose name takes as many tokens, so that the two prompts differ in the
    subject alone. The order of the foils is drawn from the seed and the two facts' ids: it depends neither on the order
    of the pool nor on other facts. The contrast is the first foil's answer or, without a foil, the answer to the same
    question about any other person.
    """
    of_relation: dict[str, list[EncodedFact]] = defaultdict(list)
    for fact in pool:
        of_relation[fact.source.relation].append(fact)
    return [_with_foils(fact, of_relation[fact.source.relation], seed) for fact in facts]


def _with_foils(fact: EncodedFact, candidates: Sequence[EncodedFact], seed: int) -> EncodedFact:
    """Return the fact with its foils among the candidates, which are facts of the same relation."""
    others = [other for other in candidates if other.source.person != fact.source.person and _contrast(fact, other)]
    others.sort(key=lambda other: _sort_key(seed, fact.source.id, other.source.id))
    alike = [other for other in others if _differs_in_subject_alone(fact, other)]
    foils = list(dict.fromkeys(other.prompt for other in alike))[:FOILS]
    first = next(iter(alike or others), None)
    return replace(fact, foils=tuple(foils), contrast=None if first is None else _contrast(fact, first))


def _differs_in_subject_alone(fact: EncodedFact, other: EncodedFact) -> bool:
    """Return whether the two prompts are of one length and differ in the subject's tokens and nowhere else."""
    if (
        not fact.subject
        or other.subject != fact.subject
        or other.answer_start != fact.answer_start
        or other.prompt == fact.prompt
    ):
        return False
    first, end = fact.subject[0], fact.subject[-1] + 1
    return fact.prompt[:first] == other.prompt[:first] and fact.prompt[end:] == other.prompt[end:]


def _contrast(fact: EncodedFact, other: EncodedFact) -> tuple[int, int] | None:
    """Return the first place where the two answers differ, and the other's token there.

    None where one of the answers is the beginning of the other.
    """
    for place, (token, foil) in enumerate(zip(fact.answer, other.answer, strict=False)):
        if token != foil:
            return place, foil
    return None


def _sort_key(seed: int, *names: str) -> bytes:
    """Return a pseudo-random sort key that depends on the seed and the names alone."""
    return hashlib.sha256(":".join([str(seed), *names]).encode()).digest()
