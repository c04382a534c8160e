"""Foils and contrasts by hand, and what they depend on."""

import hashlib
import random
from dataclasses import replace

import pytest

from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.facts import Fact
from unlearning.mediation.foils import with_foils

RELATION = "birth_date"


def fact(
    person: str,
    name: tuple[int, ...],
    answer: tuple[int, ...],
    relation: str = RELATION,
    frame: tuple[int, int] = (1, 2),
) -> EncodedFact:
    """Return a fact of at least five tokens: before the name, name, after the name, answer."""
    ids = (90, frame[0], *name, frame[1], *answer)
    fact = Fact(f"{person} {relation}", "", "", 0, "", person, relation)
    return EncodedFact(fact, ids, range(2, 2 + len(name)), 3 + len(name))


A = fact("A", (10, 11), (50, 51, 52))
B = fact("B", (20, 21), (50, 61, 62))
C = fact("C", (30, 31), (70,))
D = fact("D", (40, 41), (50, 51, 80, 81))
LONGER = fact("E", (10, 11, 12), (50, 51, 90))


def order(seed: int, own: EncodedFact, others: list[EncodedFact]) -> list[EncodedFact]:
    """Return the order of the foils from its definition: by the hash of the seed and the two facts' ids."""
    return sorted(
        others, key=lambda other: hashlib.sha256(f"{seed}:{own.source.id}:{other.source.id}".encode()).hexdigest()
    )


def one(own: EncodedFact, pool: list[EncodedFact], seed: int = 0) -> EncodedFact:
    (found,) = with_foils([own], pool, seed)
    return found


def test_the_only_other_person() -> None:
    found = one(A, [A, B])
    assert found == replace(A, foils=((90, 1, 20, 21, 2),), contrast=(1, 61))
    assert one(A, [A, C]) == replace(A, foils=((90, 1, 30, 31, 2),), contrast=(0, 70))
    assert one(A, [A, D]) == replace(A, foils=((90, 1, 40, 41, 2),), contrast=(2, 80))


@pytest.mark.parametrize("seed", range(8))
def test_the_first_two_by_the_draw(seed: int) -> None:
    first, second, _ = order(seed, A, [B, C, D])
    found = one(A, [A, B, C, D], seed)
    assert found.foils == (first.prompt, second.prompt)
    assert found.contrast == one(A, [first]).contrast


def test_seeds_give_different_orders() -> None:
    assert len({one(A, [B, C, D], seed).foils for seed in range(20)}) == 6


@pytest.mark.parametrize("seed", range(3))
def test_neither_the_pools_order_nor_further_facts_matter(seed: int) -> None:
    pool = [A, B, C, D, LONGER]
    wanted = with_foils([A, B, C, D], pool, seed)
    shuffled = random.Random(seed).sample(pool, len(pool))
    assert with_foils([A, B, C, D], shuffled, seed) == wanted
    assert with_foils([D, C], pool, seed) == wanted[3:1:-1]
    elsewhere = [fact(name, (5, 6), (1, 2), "email_address") for name in "ABXYZ"]
    assert with_foils([A, B, C, D], [*elsewhere, *pool], seed) == wanted


def test_without_another_person_there_is_nothing() -> None:
    same_person = replace(B, source=replace(B.source, id="A again", person="A"))
    other_relation = fact("B", (20, 21), (60,), "email_address")
    for pool in ([], [A], [A, same_person], [A, other_relation]):
        assert one(A, pool) == replace(A, foils=(), contrast=None)


def test_what_was_there_before_is_replaced() -> None:
    stale = replace(A, foils=((1, 2, 3),), contrast=(0, 9))
    assert one(stale, [A]) == A


@pytest.mark.parametrize(
    "other",
    [
        LONGER,
        fact("F", (20,), (60,)),
        fact("G", (20, 21), (60,), frame=(3, 2)),
        fact("H", (20, 21), (60,), frame=(1, 3)),
        replace(fact("I", (20, 21, 2), (60,)), subject=range(2, 4)),
        fact("J", (10, 11), (60,)),
    ],
    ids=["longer name", "shorter name", "other words before", "other words after", "longer question", "same name"],
)
def test_a_prompt_that_differs_elsewhere_is_no_foil(other: EncodedFact) -> None:
    """A contrast needs nothing but another person's answer to the same question."""
    found = one(A, [A, other])
    assert found.foils == ()
    place = next(n for n, (own, theirs) in enumerate(zip(A.answer, other.answer, strict=False)) if own != theirs)
    assert found.contrast == (place, other.answer[place])


@pytest.mark.parametrize("answer", [(50, 51, 52), (50, 51), (50,), (50, 51, 52, 53)])
def test_an_answer_that_begins_the_other_contrasts_with_nothing(answer: tuple[int, ...]) -> None:
    """Its person is no foil either, since the corrupted run would give the same answer."""
    other = fact("B", (20, 21), answer)
    assert one(A, [A, other]) == A
    assert one(other, [A, other]) == other
    assert one(A, [A, other, C]).foils == (C.prompt,)


@pytest.mark.parametrize("seed", range(8))
def test_the_contrast_is_the_first_foils_even_where_another_fact_comes_before(seed: int) -> None:
    assert one(A, [LONGER, fact("F", (20,), (60,)), D], seed) == replace(A, foils=(D.prompt,), contrast=(2, 80))


def test_two_persons_of_one_name_are_one_foil() -> None:
    namesake = fact("B2", (20, 21), (77,))
    found = one(A, [A, B, namesake])
    assert found.foils == (B.prompt,)
    assert found.contrast == ((1, 61) if order(0, A, [B, namesake])[0] is B else (0, 77))
    third = one(A, [B, namesake, C])
    assert sorted(third.foils) == sorted((B.prompt, C.prompt))


def test_foils_are_of_the_probes_length_and_keep_all_but_the_subject() -> None:
    for found in with_foils([A, B, C, D, LONGER], [A, B, C, D, LONGER], 3):
        for foil in found.foils:
            assert len(foil) == found.answer_start
            apart = [place for place, pair in enumerate(zip(foil, found.prompt, strict=True)) if len(set(pair)) == 2]
            assert set(apart) <= set(found.subject)
            assert apart
        if found.contrast is not None:
            place, token = found.contrast
            assert found.answer[place] != token
