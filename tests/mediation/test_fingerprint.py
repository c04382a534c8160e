"""Whatever decides a fact's scores is in the fingerprint, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.mediation.builders import deep_model, random_probe
from unlearning.config import (
    Corruption,
    Direction,
    ModuleKind,
    SelectionRule,
    TraceConfig,
    TracedSplit,
    TracedTokens,
    TraceMode,
)
from unlearning.mediation.journal import CHOICES, fingerprint
from unlearning.mediation.subject import Probe

PROBES = [random_probe("a", range(2, 4), 6, 10, foils=2, contrast=(1, 50)), random_probe("b", range(1, 2), 4, 6)]
CONFIG = TraceConfig(
    kinds=[ModuleKind.layer, ModuleKind.mlp], tokens=TracedTokens.grid, base_model="somewhere", severed=[]
)


def key_of(config: TraceConfig = CONFIG, probes: list[Probe] = PROBES, noise: float = 0.25) -> str:
    return fingerprint([deep_model("gpt2", 2)], config, probes, noise)


MEASURED = {
    "mode": TraceMode.screen,
    "split": TracedSplit.retain,
    "corruption": Corruption.replacement,
    "direction": Direction.noising,
    "noise_std": 2.0,
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
    """`facts` only cuts the list of facts, which counts itself."""
    assert set(vars(CONFIG)) == {*MEASURED, *CHOSEN, "facts"}
    assert set(CHOSEN) == set(CHOICES)


CHANGES: dict[str, Callable[[Probe], Probe]] = {
    "id": lambda probe: replace(probe, fact=replace(probe.fact, id="other")),
    "tokens": lambda probe: replace(probe, input_ids=(*probe.input_ids[:-1], 7)),
    "subject": lambda probe: replace(probe, subject=range(2, 5)),
    "answer": lambda probe: replace(probe, answer_start=7),
    "foils": lambda probe: replace(probe, foils=probe.foils[:1]),
    "foils' order": lambda probe: replace(probe, foils=probe.foils[::-1]),
    "contrast": lambda probe: replace(probe, contrast=(1, 51)),
    "no contrast": lambda probe: replace(probe, contrast=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_facts_count(change: Callable[[Probe], Probe]) -> None:
    assert key_of(probes=[change(PROBES[0]), PROBES[1]]) != key_of()


def test_the_facts_and_the_noise() -> None:
    assert key_of(probes=PROBES[:1]) != key_of()
    assert key_of(noise=0.2500001) != key_of()
    assert key_of() == key_of()


@pytest.mark.parametrize("place", [0, 5, -1])
def test_weights_count(place: int) -> None:
    """Whichever parameter moved, all of it by a little; its precision too, and how many models there are."""
    model = deep_model("gpt2", 2)
    before = fingerprint([model], CONFIG, PROBES, 0.25)
    with torch.no_grad():
        list(model.parameters())[place].mul_(1.001).add_(1e-6)
    assert fingerprint([model], CONFIG, PROBES, 0.25) != before
    fresh = deep_model("gpt2", 2)
    assert fingerprint([fresh, fresh], CONFIG, PROBES, 0.25) != before
    assert fingerprint([fresh.double()], CONFIG, PROBES, 0.25) != before
