"""The fingerprint depends on everything that a fact's scores depend on, and on nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.mediation.builders import deep_model, random_fact
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import (
    Corruption,
    Direction,
    NoiseUnit,
    SelectionRule,
    TraceConfig,
    TracedSplit,
    TracedTokens,
    TraceMode,
    Wording,
)
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.fingerprint import WITHOUT_EFFECT, fingerprint

FACTS = [random_fact("a", range(2, 4), 6, 10, foils=2, contrast=(1, 50)), random_fact("b", range(1, 2), 4, 6)]
CONFIG = TraceConfig(
    kinds=[ModuleKind.layer, ModuleKind.mlp], tokens=TracedTokens.grid, base_model="somewhere", severed=[]
)


def key_of(config: TraceConfig = CONFIG, facts: list[EncodedFact] = FACTS, noise: float = 0.25) -> str:
    return fingerprint([deep_model("gpt2", 2)], config, facts, noise)


MEASURED = {
    "mode": TraceMode.screen,
    "split": TracedSplit.retain,
    "corruption": Corruption.replacement,
    "direction": Direction.noising,
    "noise_std": 2.0,
    "noise_unit": NoiseUnit.names,
    "wording": Wording.possessive,
    "draws": 3,
    "kinds": [ModuleKind.mlp],
    "window": 3,
    "severed": [ModuleKind.mlp],
    "tokens": TracedTokens.subject,
    "placebo": False,
    "seed": 1,
}
CHOSEN = {
    "base_model": None,
    "select": ModuleKind.layer,
    "rule": SelectionRule.first,
    "value": 0.5,
    "min_total_effect": 1.0,
    "memory_gib": 9.0,
}


@pytest.mark.parametrize(("name", "value"), MEASURED.items(), ids=MEASURED)
def test_a_setting_that_changes_numbers_changes_the_fingerprint(name: str, value: object) -> None:
    assert key_of(replace(CONFIG, **{name: value})) != key_of()


@pytest.mark.parametrize(("name", "value"), CHOSEN.items(), ids=CHOSEN)
def test_a_setting_that_changes_no_number_does_not(name: str, value: object) -> None:
    assert key_of(replace(CONFIG, **{name: value})) == key_of()


def test_every_setting_is_one_or_the_other() -> None:
    """The setting `facts` only shortens the list of facts, and the list itself is in the fingerprint."""
    assert set(vars(CONFIG)) == {*MEASURED, *CHOSEN, "facts"}
    assert set(CHOSEN) == set(WITHOUT_EFFECT)


CHANGES: dict[str, Callable[[EncodedFact], EncodedFact]] = {
    "id": lambda fact: replace(fact, source=replace(fact.source, id="other")),
    "tokens": lambda fact: replace(fact, input_ids=(*fact.input_ids[:-1], 7)),
    "subject": lambda fact: replace(fact, subject=range(2, 5)),
    "answer": lambda fact: replace(fact, answer_start=7),
    "foils": lambda fact: replace(fact, foils=fact.foils[:1]),
    "foils' order": lambda fact: replace(fact, foils=fact.foils[::-1]),
    "contrast": lambda fact: replace(fact, contrast=(1, 51)),
    "no contrast": lambda fact: replace(fact, contrast=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_facts_count(change: Callable[[EncodedFact], EncodedFact]) -> None:
    assert key_of(facts=[change(FACTS[0]), FACTS[1]]) != key_of()


def test_the_facts_and_the_noise() -> None:
    assert key_of(facts=FACTS[:1]) != key_of()
    assert key_of(noise=0.2500001) != key_of()
    assert key_of() == key_of()


@pytest.mark.parametrize("place", [0, 5, -1])
def test_weights_count(place: int) -> None:
    """A small change of any parameter counts, and so do its precision and the number of models."""
    model = deep_model("gpt2", 2)
    before = fingerprint([model], CONFIG, FACTS, 0.25)
    with torch.no_grad():
        list(model.parameters())[place].mul_(1.001).add_(1e-6)
    assert fingerprint([model], CONFIG, FACTS, 0.25) != before
    fresh = deep_model("gpt2", 2)
    assert fingerprint([fresh, fresh], CONFIG, FACTS, 0.25) != before
    assert fingerprint([fresh.double()], CONFIG, FACTS, 0.25) != before
