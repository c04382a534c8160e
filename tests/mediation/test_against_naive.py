"""The batched tracer equals ROME's way, state by state and draw by draw, in float64."""

import numpy as np
import pytest
import torch

from tests.mediation.builders import deep_model, random_probe
from tests.reference.naive_tracer import embedding_of, name_of, noise_of, trace_state, window
from unlearning.config import ModuleKind, TraceConfig, TracedTokens
from unlearning.mediation.subject import Probe
from unlearning.mediation.tracing import Tracer

DEPTH = 4
KINDS = ["block", "mlp", "attention"]
SETTINGS = {
    "subject, one batch": (TracedTokens.subject, 1, 512),
    "subject, window 3, small batches": (TracedTokens.subject, 3, 10),
    "last token, window 2, split draws": (TracedTokens.last_subject, 2, 4),
    "grid, window 10": (TracedTokens.grid, 10, 64),
}
PROBES = [random_probe("a", range(2, 5), 8, 11), random_probe("b", range(0, 1), 4, 5)]
FAMILIES = ("olmo", "gpt2", "gpt_neox", "llama", "olmo2", "gemma3_text", "phi3")


def positions_of(probe: Probe, tokens: TracedTokens) -> list[list[int]]:
    if tokens is TracedTokens.subject:
        return [list(probe.subject)]
    if tokens is TracedTokens.last_subject:
        return [[probe.subject[-1]]]
    return [[position] for position in range(probe.subject[0], probe.answer_start)]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("tokens", "width", "max_rows"), SETTINGS.values(), ids=SETTINGS)
def test_every_state_equals_the_naive_one(
    family: str, tokens: TracedTokens, width: int, max_rows: int, attention: str
) -> None:
    model = deep_model(family, DEPTH).double()
    model.set_attn_implementation(attention)
    kinds = [ModuleKind(kind) for kind in KINDS]
    config = TraceConfig(draws=3, window=width, tokens=tokens, max_rows=max_rows, seed=5, kinds=kinds)
    tracer = Tracer(model, config)
    scale = tracer.noise_scale(PROBES)
    vectors = embedding_of(model, family)(torch.tensor([PROBES[0].input_ids[2:5] + PROBES[1].input_ids[:1]]))
    assert scale == pytest.approx(3 * float(vectors.detach().flatten().std()), rel=1e-12)
    for probe in PROBES:
        trace = tracer.trace(probe, scale)
        common = (model, family, probe.input_ids, probe.answer_start, list(probe.subject))
        noise = noise_of(probe.fact.id, 5, 3, len(probe.subject), vectors.shape[-1], scale)
        clean, *corrupted = trace_state(*common, noise, {})
        assert trace.clean == pytest.approx(clean, abs=1e-10)
        assert trace.corrupted == pytest.approx(np.array(corrupted), abs=1e-10)
        for k, kind in enumerate(KINDS):
            for block in range(DEPTH):
                names = [name_of(family, kind, module) for module in window(kind, block, width, DEPTH)]
                for site, positions in enumerate(positions_of(probe, tokens)):
                    _, *expected = trace_state(*common, noise, dict.fromkeys(names, positions))
                    assert trace.restored[k, block, site] == pytest.approx(np.array(expected), abs=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_restoring_before_the_subject_does_nothing_in_the_naive_tracer(family: str) -> None:
    """Why the grid begins at the subject."""
    model = deep_model(family, DEPTH).double()
    probe = PROBES[0]
    noise = noise_of("a", 0, 2, len(probe.subject), 32, 1.0)
    common = (model, family, probe.input_ids, probe.answer_start, list(probe.subject), noise)
    restored = trace_state(*common, {name_of(family, "block", 0): [0, 1]})
    assert restored == trace_state(*common, {})
