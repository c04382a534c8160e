"""Other persons for a fact: a name to put in its place, and an answer to hold against its own."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from unlearning.mediation.subject import Probe

FOILS = 2
"""One to corrupt with, another for the placebo."""


def with_foils(probes: Sequence[Probe], pool: Sequence[Probe], seed: int) -> list[Probe]:
    """The probes, each with up to two foils from the pool and an answer that contrasts with its own.

    A foil asks the same of another person whose name takes as many tokens, so that the two prompts are equal but for
    the subject. Its order is drawn from the seed and the two facts' ids: neither the pool's order nor other facts
    matter. The contrast is the first foil's answer, or, without a foil, that of any other person's same question.
    """
    of_relation: dict[str, list[Probe]] = defaultdict(list)
    for probe in pool:
        of_relation[probe.fact.relation].append(probe)
    return [_with_foils(probe, of_relation[probe.fact.relation], seed) for probe in probes]


def _with_foils(probe: Probe, candidates: Sequence[Probe], seed: int) -> Probe:
    others = [other for other in candidates if other.fact.person != probe.fact.person and _contrast(probe, other)]
    others.sort(key=lambda other: _draw(seed, probe.fact.id, other.fact.id))
    alike = [other for other in others if _differs_in_subject_alone(probe, other)]
    foils = list(dict.fromkeys(other.prompt for other in alike))[:FOILS]
    first = next(iter(alike or others), None)
    return replace(probe, foils=tuple(foils), contrast=None if first is None else _contrast(probe, first))


def _differs_in_subject_alone(probe: Probe, other: Probe) -> bool:
    if other.subject != probe.subject or other.answer_start != probe.answer_start or other.prompt == probe.prompt:
        return False
    first, end = probe.subject[0], probe.subject[-1] + 1
    return probe.prompt[:first] == other.prompt[:first] and probe.prompt[end:] == other.prompt[end:]


def _contrast(probe: Probe, other: Probe) -> tuple[int, int] | None:
    """The first place where the two answers differ, and the other's token there; None where one begins the other."""
    for place, (token, foil) in enumerate(zip(probe.answer, other.answer, strict=False)):
        if token != foil:
            return place, foil
    return None


def _draw(seed: int, *names: str) -> bytes:
    """A pseudo-random sort key that depends on these alone."""
    return hashlib.sha256(":".join([str(seed), *names]).encode()).digest()
