"""Every score of the tracer equals that of one plain forward pass for each state, in float64, in every family."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tests.families import DISTINCT, EVERY_STATEFUL
from tests.mediation.builders import random_fact
from tests.reference.in_double import InDouble
from tests.reference.naive_tracer import Run, embedding_of, kinds_of, name_of, noise_of, trace_patch, window
from tests.rotation import each_once, left_out
from tests.tiny_models import ALL_FAMILIES, EAGER_ONLY, FAMILIES, tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig, TracedTokens
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.patch_batch import PatchBatch
from unlearning.mediation.patched_scores import patched_scores
from unlearning.mediation.result import FactTrace
from unlearning.mediation.states import Restoration
from unlearning.mediation.tracer import Tracer

DEPTH = 3
SEED = 5
KINDS = [ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention]
PATHS = [ModuleKind.mlp, ModuleKind.attention]
BASE = TraceConfig(kinds=KINDS, draws=2, seed=SEED)
NOISING = replace(BASE, direction=Direction.noising)
CASES = {
    "noise, denoising, grid": replace(BASE, tokens=TracedTokens.grid, window=3, severed=[ModuleKind.mlp]),
    "noise, denoising, subject": replace(BASE, window=2, severed=PATHS),
    "replacement, denoising, two rows": replace(
        BASE, corruption=Corruption.replacement, tokens=TracedTokens.two_rows, severed=PATHS
    ),
    "base model, denoising, grid": replace(
        BASE, corruption=Corruption.base_model, tokens=TracedTokens.grid, kinds=[ModuleKind.mlp, ModuleKind.attention]
    ),
    "replacement, noising, subject": replace(NOISING, corruption=Corruption.replacement),
    "noise, noising, last subject": replace(
        NOISING, tokens=TracedTokens.last_subject, window=2, severed=[ModuleKind.attention]
    ),
    "base model, noising, subject": replace(NOISING, corruption=Corruption.base_model, severed=[ModuleKind.mlp]),
}
OF_EVERY_FAMILY = ("noise, denoising, grid", "base model, denoising, grid", "noise, noising, last subject")


def is_exhaustive(family: str, case: str) -> bool:
    """Return whether a run is left to `-m exhaustive`: each distinct family has a case, and each case a family."""
    own = list(CASES) if family in FAMILIES else OF_EVERY_FAMILY
    return family not in DISTINCT or case != own[DISTINCT.index(family) % len(own)]


RUNS = [
    pytest.param(family, case, id=f"{family}: {case}", marks=left_out(is_exhaustive(family, case)))
    for family in ALL_FAMILIES
    for case in CASES
    if family in FAMILIES or case in OF_EVERY_FAMILY
]
FACTS = [
    random_fact("a", range(2, 4), 6, 10, foils=2, contrast=(1, 50)),
    random_fact("b", range(1, 2), 4, 6, foils=2, contrast=(0, 50)),
]
"""They have different lengths, so that the shorter one's rows are padded."""


@dataclass(frozen=True)
class Naive:
    """A fact's runs, and the plain way to patch them."""

    family: str
    fact: EncodedFact
    config: TraceConfig
    clean: Run
    corrupted: Run
    placebo: Run
    known: dict[object, object] = field(default_factory=dict)

    def scores(self, run: Run) -> NDArray[np.float64]:
        """Return the scores (rows, M) of a run in which nothing is patched."""
        return np.array(trace_patch(run, run, {}, self.fact.answer_start, contrast=self.fact.contrast))

    def patched(self, donor: Run, kind: str, width: int, severed: str | None, layer: int, at: Sequence[int]) -> object:
        """Return the scores (D, M) with one state patched, computed once."""
        state = (donor is self.placebo, kind, width, severed, layer, tuple(at))
        if state not in self.known:
            self.known[state] = self._patched(donor, kind, width, severed, layer, at)
        return self.known[state]

    def _patched(self, donor: Run, kind: str, width: int, severed: str | None, layer: int, at: Sequence[int]) -> object:
        denoising = self.config.direction is Direction.denoising
        receiver = self.corrupted if denoising else self.clean
        modules = window(kind, layer, width, DEPTH)
        patch = dict.fromkeys([name_of(self.family, kind, module) for module in modules], at)
        every = [name_of(self.family, severed, module) for module in range(DEPTH)] if severed else []
        pinned = dict.fromkeys(every, at)
        return trace_patch(receiver, donor, patch, self.fact.answer_start, pinned, self.fact.contrast)

    @property
    def donor(self) -> Run:
        return self.clean if self.config.direction is Direction.denoising else self.corrupted


def naive(model: PreTrainedModel, base: PreTrainedModel, family: str, fact: EncodedFact, config: TraceConfig) -> Naive:
    scale = 3 * subject_deviation(model, family)
    noise = noise_of(fact.source.id, SEED, config.draws, len(fact.subject), 32, scale)
    clean = Run(model, family, fact.input_ids)
    foils = [Run(model, family, (*foil, *fact.answer)) for foil in fact.foils] or [clean]
    corrupted = {
        Corruption.noise: Run(model, family, fact.input_ids, fact.subject, noise),
        Corruption.replacement: foils[0],
        Corruption.base_model: Run(base, family, fact.input_ids),
    }[config.corruption]
    return Naive(family, fact, config, clean, corrupted, foils[-1])


def subject_deviation(model: PreTrainedModel, family: str) -> float:
    """Return the standard deviation over all elements of the embeddings of all subjects' tokens."""
    tokens = [fact.input_ids[position] for fact in FACTS for position in fact.subject]
    with torch.no_grad():
        vectors = embedding_of(model, family)(torch.tensor([tokens]))
    return float(vectors.flatten().std())


def positions_of(fact: EncodedFact, config: TraceConfig) -> tuple[list[list[int]], int]:
    """Return the positions of every site and the index of the deciding one, from their definition."""
    last_subject, last = fact.subject[-1], fact.answer_start - 1
    if config.tokens is TracedTokens.subject:
        return [list(fact.subject)], 0
    if config.tokens is TracedTokens.last_subject:
        return [[last_subject]], 0
    if config.tokens is TracedTokens.two_rows:
        return [[last_subject], [last]], 0
    first = 0 if config.corruption is Corruption.base_model else fact.subject[0]
    return [[position] for position in range(first, last + 1)], last_subject - first


def labels_of(config: TraceConfig) -> list[tuple[str, int, str | None]]:
    """Return kind, window and severed kind of every restoration, from their definition."""
    found: list[tuple[str, int, str | None]] = []
    for kind in config.kinds:
        found.append((kind.value, 1, None))
        if config.window > 1 and kind is not ModuleKind.layer:
            found.append((kind.value, config.window, None))
    return found + [("layer", 1, kind.value) for kind in config.severed]


def models_of(family: str, attention: str | None = None) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return a model and its base, which differ in all weights."""
    made = [tiny_model(family, seed, num_hidden_layers=DEPTH).double() for seed in (0, 1)]
    for model in made:
        if attention is not None:
            model.set_attn_implementation(attention)
    return made[0], made[1]


def traced(
    models: tuple[PreTrainedModel, PreTrainedModel], family: str, config: TraceConfig, facts: list[EncodedFact]
) -> list[FactTrace]:
    model, base = models
    tracer = Tracer(model, config, base if config.corruption is Corruption.base_model else None)
    scale = tracer.noise_scale(FACTS)
    if config.corruption is Corruption.noise:
        assert scale == pytest.approx(3 * subject_deviation(model, family), rel=1e-12)
    else:
        assert scale == 0
    wanted = [
        Restoration(ModuleKind(kind), width, ModuleKind(severed) if severed else None)
        for kind, width, severed in labels_of(config)
    ]
    assert list(tracer.restorations) == wanted
    return tracer.trace(facts, scale)


def compare(trace: FactTrace, expected: Naive) -> None:
    """Check all scores of a fact, and that they are not all the same."""
    config, fact = expected.config, expected.fact
    sites, deciding = positions_of(fact, config)
    exactly(trace.clean, expected.scores(expected.clean)[0])
    exactly(trace.corrupted, expected.scores(expected.corrupted))
    assert np.nanmin(abs(trace.clean - trace.corrupted)) > 1e-6
    assert [list(site.positions) for site in trace.sites] == sites
    assert trace.sites.index(trace.deciding_site) == deciding
    for place, label in enumerate(labels_of(config)):
        for layer in range(DEPTH):
            for site, positions in enumerate(sites):
                wanted = expected.patched(expected.donor, *label, layer, positions)
                exactly(trace.patched[place, layer, site], wanted)
            if config.direction is Direction.denoising and fact.foils:
                assert trace.placebo is not None
                wanted = expected.patched(expected.placebo, *label, layer, sites[deciding])
                exactly(trace.placebo[place, layer], wanted)
    if config.direction is Direction.noising or not fact.foils:
        assert trace.placebo is None
    unpatched = trace.corrupted if config.direction is Direction.denoising else trace.clean
    moved = abs(trace.patched - unpatched)[..., -1] > 1e-6
    assert moved.any((1, 2, 3)).all()


def exactly(found: object, wanted: object) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=0, atol=1e-10, equal_nan=True)


@pytest.mark.by_default(
    "gpt2: noise, denoising, grid",
    "olmo2: noise, denoising, subject",
    "llama: replacement, denoising, two rows",
    "opt: base model, denoising, grid",
    "gemma3_text: replacement, noising, subject",
    "mixtral: noise, noising, last subject",
    "gpt_neox: base model, noising, subject",
)
@pytest.mark.parametrize(("family", "case"), RUNS)
def test_every_state_equals_the_naive_one(family: str, case: str) -> None:
    models, config = models_of(family), CASES[case]
    with InDouble():
        for fact, trace in zip(FACTS, traced(models, family, config, FACTS), strict=True):
            compare(trace, naive(*models, family, fact, config))


@pytest.mark.by_default("granitemoehybrid")
@pytest.mark.parametrize("family", EVERY_STATEFUL)
def test_layers_that_keep_a_state(family: str) -> None:
    """Prompts are run whole, and every kind of module that a family has in all layers is patched."""
    kinds = [ModuleKind(kind) for kind in kinds_of(family)]
    severed = [kind for kind in kinds if kind is not ModuleKind.layer]
    config = replace(BASE, kinds=kinds, select=kinds[-1], tokens=TracedTokens.two_rows, severed=severed)
    models = models_of(family)
    with InDouble():
        for fact, trace in zip(FACTS, traced(models, family, config, FACTS), strict=True):
            compare(trace, naive(*models, family, fact, config))


WIDE = replace(CASES["noise, denoising, grid"], window=10, memory_gib=0.125, severed=[ModuleKind.attention])
"""The window is wider than the model, so that shorter patches copy rows of longer ones in the same batch."""


@cache
def by_hand(family: str) -> tuple[tuple[PreTrainedModel, PreTrainedModel], list[Naive]]:
    """Return the models, and each fact's states, which are computed once for all sizes of batches."""
    models = models_of(family)
    return models, [naive(*models, family, fact, WIDE) for fact in FACTS]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("family", "rows"), each_once(["gpt2", "olmo3", "mixtral"], [1, 5, 12]))
def test_small_batches(family: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are the same however few rows a batch may have."""
    budgets: list[float] = []
    sizes: list[int] = []
    original = patched_scores

    def within(gib: float, *_: object) -> int:
        budgets.append(gib)
        return rows

    def counting(batch: PatchBatch, *rest: Any) -> object:
        sizes.append(len(batch.origins()))
        return original(batch, *rest)

    monkeypatch.setattr("unlearning.mediation.tracer.rows_within", within)
    monkeypatch.setattr("unlearning.mediation.tracer.patched_scores", counting)
    with InDouble():
        models, wanted = by_hand(family)
        for trace, expected in zip(traced(models, family, WIDE, FACTS), wanted, strict=True):
            compare(trace, expected)
    assert budgets == [0.125]
    assert max(sizes) <= max(rows, 2 * WIDE.draws)


@pytest.mark.by_default("gemma3_text-noise, denoising, grid")
@pytest.mark.parametrize(
    ("family", "case"),
    each_once(["llama", "falcon", "gemma3_text", "opt"], ["noise, denoising, grid", "base model, noising, subject"]),
)
def test_eager_attention(family: str, case: str) -> None:
    assert family not in EAGER_ONLY
    models, config = models_of(family, "eager"), CASES[case]
    with InDouble():
        for fact, trace in zip(FACTS, traced(models, family, config, FACTS), strict=True):
            compare(trace, naive(*models, family, fact, config))


@pytest.mark.by_default("olmo-noise, denoising, grid")
@pytest.mark.parametrize(
    ("family", "case"),
    each_once(["olmo", "gpt_neox", "gpt_oss"], ["noise, denoising, grid", "noise, noising, last subject"]),
)
def test_a_fact_without_foils_or_contrast_beside_one_with_them(family: str, case: str) -> None:
    models, config = models_of(family), CASES[case]
    facts = [replace(FACTS[0], foils=(), contrast=None), FACTS[1]]
    with InDouble():
        found = traced(models, family, config, facts)
        for fact, trace in zip(facts, found, strict=True):
            compare(trace, naive(*models, family, fact, config))
    assert np.isnan(found[0].patched[..., 2]).all()
    assert not np.isnan(found[1].patched).any()


def test_a_replaced_name_without_a_third_person_has_no_placebo() -> None:
    """The second person's name is in the corrupted run, so a placebo needs a third person."""
    config = CASES["replacement, denoising, two rows"]
    models = models_of("llama")
    facts = [replace(FACTS[0], foils=FACTS[0].foils[:1]), FACTS[1]]
    found = traced(models, "llama", config, facts)
    assert found[0].placebo is None
    assert found[1].placebo is not None
