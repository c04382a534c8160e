"""Which facts are traced, and why the others are not."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from transformers import PreTrainedTokenizerFast

from tests.mediation.builders import byte_level, rows_of
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.config.trace import Corruption, TraceConfig, Wording
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact, encode_facts
from unlearning.mediation.facts import facts_from_rows, spread
from unlearning.mediation.foils import with_foils
from unlearning.mediation.known_facts import ASKED_TOGETHER, KnownFacts, find_known_facts
from unlearning.mediation.tracer import Tracer

NAMES = ("Goldi Aqua", "Rene Tomato", "Tiffi Magenta", "Pansy Olive")
OTHERS = ("Bobby Green", "Jeana Grey")
ANSWERS = ("1976-03-29", "900578002", "5655779919")
CONFIG = TraceConfig(facts=4)
REPLACED = replace(CONFIG, corruption=Corruption.replacement)


def rows(names: Sequence[str], first: int = 0) -> list[Row]:
    return [row for n, name in enumerate(names, first) for row in rows_of(n, name, [f"{n}{text}" for text in ANSWERS])]


FORGET, RETAIN = rows(NAMES), rows(OTHERS, 4)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    made = byte_level([row.input for row in [*FORGET, *RETAIN]], 330, by_words=True, bos=False)
    made.chat_template = "{% for m in messages %}user: {{ m.content }}\n{% endfor %}assistant:"
    return made


@dataclass
class Knowing:
    """A tracer whose model knows all facts but some."""

    unknown: frozenset[str] = frozenset()
    asked: list[list[str]] = field(default_factory=list)

    def knows(self, facts: Sequence[EncodedFact]) -> list[bool]:
        self.asked.append([fact.source.id for fact in facts])
        return [fact.source.id not in self.unknown for fact in facts]


def chosen(
    tokenizer: PreTrainedTokenizerFast,
    config: TraceConfig = CONFIG,
    tracer: Knowing | None = None,
    forget: Sequence[Row] = FORGET,
    retain: Sequence[Row] = RETAIN,
    prompt: PromptConfig | None = None,
) -> KnownFacts:
    made = cast(Tracer, tracer or Knowing())
    return find_known_facts(made, tokenizer, forget, retain, config, prompt or PromptConfig())


def order(rows: Sequence[Row], seed: int = 0) -> list[str]:
    return [fact.id for fact in spread(facts_from_rows(rows), seed)]


def ids(facts: Sequence[EncodedFact]) -> list[str]:
    return [fact.source.id for fact in facts]


def test_the_first_facts_of_the_spread(tokenizer: PreTrainedTokenizerFast) -> None:
    found = chosen(tokenizer)
    assert ids(found.known) == order(FORGET)[:4]
    assert ids(found.other_split) == order(RETAIN)[:4]
    assert (found.counts.unknown, found.counts.without_foil, found.counts.below_min_effect) == ((), (), ())
    assert found.counts.not_needed == 8


def test_names_by_themselves_are_those_of_all_facts(tokenizer: PreTrainedTokenizerFast) -> None:
    """Each of four persons has three facts, whether they are known or traced or not."""
    tracer = Knowing(frozenset(order(FORGET)[:5]))
    names = [name for name in sorted(NAMES) for _ in ANSWERS]
    expected = [token for name in names for token in tokenizer.encode(name)]
    assert list(chosen(tokenizer, tracer=tracer).name_tokens) == expected
    assert expected[0] != tokenizer.encode(f" {names[0]}")[0]


def test_the_wording_is_that_of_all_facts(tokenizer: PreTrainedTokenizerFast) -> None:
    """Facts of both splits, and their foils, ask for a birth date in the form of the other relations."""
    found = chosen(tokenizer, replace(CONFIG, facts=100, wording=Wording.possessive))
    dates = [fact for fact in (*found.known, *found.other_split) if fact.source.relation == "birth_date"]
    assert {fact.source.prompt for fact in dates} == {f"What is {name}'s birth date?" for name in (*NAMES, *OTHERS)}
    for fact in dates:
        assert tokenizer.decode(fact.prompt) == fact.source.prompt
        assert tokenizer.decode([fact.input_ids[place] for place in fact.subject]).strip() == fact.source.subject
        assert all(tokenizer.decode(foil).endswith("'s birth date?") for foil in fact.foils)


def test_a_fact_that_is_not_known_gives_its_place_to_the_next(tokenizer: PreTrainedTokenizerFast) -> None:
    wanted = order(FORGET)
    tracer = Knowing(frozenset([wanted[1], wanted[2], wanted[9]]))
    found = chosen(tokenizer, tracer=tracer)
    assert ids(found.known) == [wanted[0], *wanted[3:6]]
    assert found.counts.unknown == (wanted[1], wanted[2])
    assert found.counts.not_needed == 12 - 6


@pytest.mark.parametrize("facts", [1, 3, 12, 100])
def test_counts_add_up(facts: int, tokenizer: PreTrainedTokenizerFast) -> None:
    unknown = frozenset(order(FORGET)[::3])
    for config in (replace(CONFIG, facts=facts), replace(REPLACED, facts=facts)):
        found = chosen(tokenizer, config, Knowing(unknown))
        counts = found.counts
        assert len(found.known) + len(counts.unknown) + len(counts.without_foil) + counts.not_needed == len(FORGET)
        assert len(found.known) <= facts
        assert not unknown.intersection(ids(found.known))
        groups = (ids(found.known), counts.unknown, counts.without_foil)
        assert len({name for group in groups for name in group}) == sum(map(len, groups))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rows_order_does_not_matter(seed: int, tokenizer: PreTrainedTokenizerFast) -> None:
    config = replace(REPLACED, seed=seed)
    one = chosen(tokenizer, config)
    other = chosen(tokenizer, config, forget=FORGET[::-1], retain=RETAIN[::-1])
    assert one == other


def test_seeds_choose_differently(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len({tuple(ids(chosen(tokenizer, replace(CONFIG, seed=seed)).known)) for seed in range(5)}) > 1


def test_no_more_are_asked_than_needed(tokenizer: PreTrainedTokenizerFast) -> None:
    names = [f"Goldi {colour}" for colour in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    many = rows(names)
    tracer = Knowing()
    chosen(tokenizer, tracer=tracer, forget=many)
    assert tracer.asked == [order(many)[:ASKED_TOGETHER]]
    tracer = Knowing(frozenset(order(many)[:30]))
    found = chosen(tokenizer, tracer=tracer, forget=many)
    assert tracer.asked == [order(many)[:ASKED_TOGETHER], order(many)[ASKED_TOGETHER : 2 * ASKED_TOGETHER]]
    assert ids(found.known) == order(many)[30:34]


def test_foils_are_of_both_splits(tokenizer: PreTrainedTokenizerFast) -> None:
    located = {
        split: encode_facts(facts_from_rows(given), tokenizer, PromptConfig())
        for split, given in (("forget", FORGET), ("retain", RETAIN))
    }
    wanted = {fact.source.id: fact for fact in with_foils(located["forget"], located["forget"] + located["retain"], 0)}
    found = chosen(tokenizer, replace(CONFIG, facts=12))
    assert {fact.source.id: fact for fact in found.known} == wanted
    # Some facts have their foils from the retain rows.
    alone = chosen(tokenizer, replace(CONFIG, facts=12), retain=[])
    assert alone.other_split == []
    assert {fact.source.id: fact for fact in alone.known} != wanted


def test_facts_without_a_foil_are_left_out_where_one_is_needed(tokenizer: PreTrainedTokenizerFast) -> None:
    """No other name is as short as the shortest one."""
    pool = [*FORGET, *rows(["Al"], 8)]
    single = [row.id for row in rows(["Al"], 8)]
    found = chosen(tokenizer, replace(REPLACED, facts=100), forget=pool)
    assert set(single) <= set(found.counts.without_foil)
    assert all(fact.foils for fact in found.known)
    assert not set(found.counts.without_foil) & {*ids(found.known), *found.counts.unknown}
    kept = chosen(tokenizer, replace(CONFIG, facts=100), forget=pool)
    assert kept.counts.without_foil == ()
    assert set(single) <= set(ids(kept.known))


def test_a_model_is_not_asked_about_facts_without_a_foil(tokenizer: PreTrainedTokenizerFast) -> None:
    pool = [*FORGET, *rows(["Al"], 8)]
    tracer = Knowing()
    found = chosen(tokenizer, replace(REPLACED, facts=100), tracer, forget=pool)
    assert not set(found.counts.without_foil).intersection(*tracer.asked)


@pytest.mark.parametrize("style", PromptStyle)
def test_prompts_are_those_of_training(style: PromptStyle, tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = PromptConfig(style=style)
    found = chosen(tokenizer, prompt=prompt)
    for fact in (*found.known, *found.other_split):
        assert fact.input_ids == encode_facts([fact.source], tokenizer, prompt)[0].input_ids


# ---------------------------------------------------------------- errors

NO_FACT = [replace(FORGET[0], input="Why?"), replace(FORGET[1], input="What is love?")]


NO_SUBJECT = (
    "tracing: none of the {} forget rows has a known subject, the words that it asks about; give a column subject, or "
    "exchange weights, which needs none (trace=weights trace.base_model=FOLDER, the model before it memorised), or "
    "unlearn without tracing (scope=all)"
)


@pytest.mark.parametrize(
    ("forget", "tracer", "config", "message"),
    [
        ([], Knowing(), CONFIG, NO_SUBJECT.format(0)),
        (NO_FACT, Knowing(), CONFIG, NO_SUBJECT.format(2)),
        (
            FORGET,
            Knowing(frozenset(order(FORGET))),
            CONFIG,
            "tracing: the model knows none of 12 facts, since it begins none of their answers right; give a model that "
            "was trained on the rows (unlearn-memorise makes one), or unlearn without tracing (scope=all)",
        ),
        (
            rows(["Al", "Zoë Maximiliane Müller"]),
            Knowing(),
            REPLACED,
            "trace.corruption=replacement: for none of 6 facts does another person's name have as many tokens in "
            "the same question",
        ),
    ],
    ids=["no rows", "no facts", "no knowledge", "no foil"],
)
def test_errors_are_one_line(
    forget: list[Row], tracer: Knowing, config: TraceConfig, message: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(InputError) as raised:
        chosen(tokenizer, config, tracer, forget, [])
    assert str(raised.value) == message
