"""Facts, settings and random models that several tests of the tracer share."""

from dataclasses import replace

import pytest

from tests.mediation.builders import deep_model, random_fact
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig, TracedTokens
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.result import FactTrace
from unlearning.mediation.tracer import Tracer

DEPTH = 3
FACTS = [
    random_fact("a", range(2, 5), 8, 11, foils=2, contrast=(1, 40)),
    random_fact("b", range(1, 3), 6, 9, foils=2, contrast=(0, 41)),
    random_fact("c", range(1, 3), 6, 13, foils=1, contrast=(2, 42)),
    random_fact("d", range(0, 1), 3, 4),
]
"""Their subjects and answers have different lengths. The last fact has no foil, and its subject begins the text."""
PATHS = [ModuleKind.mlp, ModuleKind.attention]
CONFIG = TraceConfig(draws=3, seed=1)
GRID = replace(CONFIG, tokens=TracedTokens.grid, window=2, severed=PATHS)
NOISING = replace(GRID, direction=Direction.noising, tokens=TracedTokens.subject)
REPLACED = replace(GRID, corruption=Corruption.replacement)
FROM_BASE = replace(GRID, corruption=Corruption.base_model)
SETTINGS = {"denoising": GRID, "noising": NOISING, "replacement": REPLACED, "base model": FROM_BASE}
each_setting = pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS)


def tracer_of(family: str, config: TraceConfig, depth: int = DEPTH) -> Tracer:
    """Return the tracer of a random model, whose base is another random model."""
    model, base = (deep_model(family, depth, seed=seed).double() for seed in (0, 1))
    return Tracer(model, config, base if config.corruption is Corruption.base_model else None)


def facts_for(config: TraceConfig) -> list[EncodedFact]:
    """Return the facts that can be traced with these settings; a replacement needs another name."""
    return [fact for fact in FACTS if fact.foils or config.corruption is not Corruption.replacement]


def traced(tracer: Tracer, facts: list[EncodedFact]) -> dict[str, FactTrace]:
    return {trace.fact: trace for trace in tracer.trace(facts, 2.0)}
