"""The naive tracer gives the right scores where these are known without another implementation."""

import copy
import math

import pytest
import torch

from tests.families import EVERY_FAMILY
from tests.reference.in_double import InDouble
from tests.reference.naive_tracer import NAMES, Run, Scores, embedding_of, name_of, noise_of, trace_patch, trace_state
from tests.tiny_models import ALL_FAMILIES, STATEFUL, tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.models import anatomy

DEPTH = 3
SUBJECT = (2, 3)
IDS = (5, 17, 40, 41, 9, 33, 60, 61, 62)
OTHER = (5, 17, 70, 71, 9, 33, 60, 61, 62)
ANSWER = 6
CONTRAST = (1, 50)
KINDS = ("layer", "mlp", "attention")


def close(rows: list[Scores], expected: list[Scores]) -> bool:
    """Check that two scores are equal but for rounding."""
    left, right = (torch.tensor(scores, dtype=torch.float64) for scores in (rows, expected))
    return torch.allclose(left, right, rtol=0, atol=1e-10)


def runs(family: str) -> tuple[Run, Run, Run]:
    """Return a clean run, one of three draws of noise, and another text in a model that differs in its first layer."""
    model = tiny_model(family, num_hidden_layers=DEPTH).double()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.get_submodule(name_of(family, "layer", 0)).parameters():
            parameter.mul_(1.5)
    noise = noise_of("fact", 0, 3, len(SUBJECT), 32, 1.0)
    return Run(model, family, IDS), Run(model, family, IDS, SUBJECT, noise), Run(other, family, OTHER)


def plain(run: Run) -> list[Scores]:
    """Return the scores of a run in which nothing is patched."""
    return trace_patch(run, run, {}, ANSWER, contrast=CONTRAST)


def test_names_of_all_families() -> None:
    assert set(NAMES) == {*ALL_FAMILIES, *STATEFUL}


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_names_are_those_of_the_anatomy(family: str) -> None:
    model = tiny_model(family, num_hidden_layers=DEPTH)
    for number, layer in enumerate(anatomy.layers(model)):
        for kind in KINDS:
            assert model.get_submodule(name_of(family, kind, number)) is anatomy.part(layer, ModuleKind(kind))
    assert embedding_of(model, family) is anatomy.embeddings(model)


def test_scores_by_hand() -> None:
    clean, _, _ = runs("llama")
    with torch.no_grad():
        logits = clean.model(torch.tensor([IDS])).logits[0]
    logs = [float(logits[at - 1].log_softmax(-1)[IDS[at]]) for at in (6, 7, 8)]
    difference = float(logits[6, 61] - logits[6, 50])
    assert plain(clean) == [pytest.approx((math.exp(logs[0]), logs[0], difference, sum(logs) / 3), abs=1e-12)]
    assert math.isnan(trace_patch(clean, clean, {}, ANSWER)[0][2])


@pytest.mark.by_default("gpt2", "olmo", "gemma3_text", "mixtral")
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_denoising_is_what_rome_computes(family: str) -> None:
    with InDouble():
        clean, noisy, _ = runs(family)
        common = (clean.model, family, IDS, ANSWER, SUBJECT, noisy.noise)
        assert close(trace_state(*common, {}, CONTRAST), plain(clean) + plain(noisy))
        for kind in KINDS:
            patch = dict.fromkeys([name_of(family, kind, 0), name_of(family, kind, 1)], (3, 4))
            restored = trace_patch(noisy, clean, patch, ANSWER, contrast=CONTRAST)
            assert close(trace_state(*common, patch, CONTRAST), plain(clean) + restored)
            assert not close(restored, plain(noisy))


@pytest.mark.by_default("gpt2", "olmo", "gemma3_text", "mixtral")
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_a_whole_layer_makes_the_receiver_the_donor(family: str) -> None:
    with InDouble():
        clean, noisy, other = runs(family)
        whole = {name_of(family, "layer", 1): range(len(IDS) - 1)}
        assert close(trace_patch(clean, noisy, whole, ANSWER, contrast=CONTRAST), plain(noisy))
        assert close(trace_patch(clean, other, whole, ANSWER, contrast=CONTRAST), plain(other))
        assert close(trace_patch(noisy, other, whole, ANSWER, contrast=CONTRAST), 3 * plain(other))
        assert not close(plain(clean), plain(other))


@pytest.mark.by_default("gpt2", "olmo", "gemma3_text", "mixtral")
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_noising_goes_draw_by_draw(family: str) -> None:
    """Three draws give the same scores as three runs of one draw each."""
    with InDouble():
        clean, noisy, _ = runs(family)
        assert noisy.noise is not None
        patch = {name_of(family, "mlp", 1): (3,)}
        single = [Run(clean.model, family, IDS, SUBJECT, draw[None]) for draw in noisy.noise]
        apart = [score for run in single for score in trace_patch(clean, run, patch, ANSWER, contrast=CONTRAST)]
        assert close(trace_patch(clean, noisy, patch, ANSWER, contrast=CONTRAST), apart)


@pytest.mark.by_default("gpt2", "olmo", "gemma3_text", "mixtral")
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_pinned_parts_stop_what_a_patch_would_change(family: str) -> None:
    """With all parts above the patched layer pinned there and after, only the patched position changes."""
    with InDouble():
        clean, noisy, _ = runs(family)
        patch = {name_of(family, "layer", 0): (3,)}
        later = range(3, len(IDS) - 1)
        every = [name_of(family, kind, layer) for kind in ("mlp", "attention") for layer in (1, 2)]
        assert close(trace_patch(noisy, clean, patch, ANSWER, dict.fromkeys(every, later), CONTRAST), plain(noisy))
        severed = dict.fromkeys([name_of(family, "attention", layer) for layer in (1, 2)], (3,))
        some = trace_patch(noisy, clean, patch, ANSWER, severed, CONTRAST)
        assert not close(some, plain(noisy))
        assert not close(some, trace_patch(noisy, clean, patch, ANSWER, contrast=CONTRAST))


def test_nothing_before_the_subject_matters() -> None:
    """Patches before the subject have no effect, which is why the grid begins at the subject."""
    clean, noisy, _ = runs("olmo")
    assert trace_patch(noisy, clean, {name_of("olmo", "layer", 0): (0, 1)}, ANSWER, contrast=CONTRAST) == plain(noisy)
