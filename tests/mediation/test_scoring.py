"""Scores equal those from the model's own logits, and the model is as before afterwards."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.families import EVERY_FAMILY
from tests.mediation.builders import deep_model, random_fact, same_state, state_of
from unlearning.mediation import scoring
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.model_parts import evaluation_mode, find_parts
from unlearning.mediation.result import METRICS, Metric
from unlearning.mediation.runs import clean_run, record_run
from unlearning.mediation.scoring import answer_cells

FACTS = [
    random_fact("a", range(2, 4), 6, 10, contrast=(2, 50)),
    random_fact("b", range(1, 2), 4, 6),
    random_fact("c", range(1, 2), 3, 4, contrast=(0, 7)),
]


pytestmark = pytest.mark.usefixtures("in_double")


def scores_of(model: PreTrainedModel, facts: list[EncodedFact]) -> Tensor:
    """Return the scores (facts, M) by the functions under test."""
    with evaluation_mode(model):
        return record_run(clean_run(find_parts(model, ()), facts)).scores[:, 0]


def wanted(model: PreTrainedModel, facts: list[EncodedFact]) -> list[list[float]]:
    """Return the scores from whole texts, one at a time, by their definitions."""
    found = []
    for fact in facts:
        with torch.no_grad():
            logits = model(torch.tensor([fact.input_ids])).logits[0]
        places = range(fact.answer_start, len(fact.input_ids))
        logs = [float(logits[place - 1].log_softmax(-1)[fact.input_ids[place]]) for place in places]
        difference = math.nan
        if fact.contrast is not None:
            place, foil = fact.contrast
            own = logits[fact.answer_start - 1 + place]
            difference = float(own[fact.answer[place]] - own[foil])
        found.append([math.exp(logs[0]), logs[0], difference, sum(logs) / len(logs)])
    return found


def assert_scores(model: PreTrainedModel) -> None:
    expected = torch.tensor(wanted(model, FACTS), dtype=torch.float64)
    torch.testing.assert_close(scores_of(model, FACTS), expected, rtol=0, atol=1e-10, equal_nan=True)


def test_order_of_the_metrics() -> None:
    assert METRICS == (
        Metric.PROBABILITY,
        Metric.LOG_PROBABILITY,
        Metric.LOGIT_DIFFERENCE,
        Metric.ANSWER_LOG_PROBABILITY,
    )


def test_cells_by_hand() -> None:
    """Each answer token goes with the position before it, which predicts it."""
    rows, positions, tokens = answer_cells(FACTS[1:])
    assert rows.tolist() == [0, 0, 1]
    assert positions.tolist() == [3, 4, 2]
    assert tokens.tolist() == [*FACTS[1].input_ids[4:], FACTS[2].input_ids[3]]


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_scores_are_those_of_the_models_own_logits(family: str) -> None:
    """This includes whatever the architecture does to logits: soft-capping, scaling, a bias."""
    model = deep_model(family, 2).double()
    before = state_of(model)
    assert_scores(model)
    assert same_state(state_of(model), before)


@pytest.mark.parametrize("family", ["gemma2", "cohere", "granite"])
def test_what_is_done_to_logits_matters(family: str) -> None:
    """The head alone would give wrong logits here, so the test above can fail."""
    model = deep_model(family, 2).double()
    with torch.no_grad():
        output = model(torch.tensor([FACTS[0].input_ids]), output_hidden_states=True)
        bare = model.get_output_embeddings()(output.hidden_states[-1])
    assert not torch.allclose(bare, output.logits, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_logits_are_looked_at_a_few_at_a_time(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces may end in the middle of an answer."""
    model = deep_model("gemma2", 2).double()
    sizes: list[int] = []
    monkeypatch.setattr(scoring, "tokens_together", lambda _device, _vocabulary: count)
    handle = model.get_output_embeddings().register_forward_hook(
        lambda _module, _inputs, logits: sizes.append(logits.shape[1])
    )
    assert_scores(model)
    handle.remove()
    # The plain passes make logits of whole texts; the scored pass makes those of a single token.
    assert sizes[:4] == [10, 6, 4, 1]
    cells = sum(len(fact.answer) for fact in FACTS)
    assert sizes[4:] == [min(count, cells - first) for first in range(0, cells, count)]


def test_a_model_that_scales_what_its_head_sees() -> None:
    """Something may stand between decoder and head, of which neither of them knows."""
    ranks = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}
    model = deep_model("minicpm3", 2, **ranks).double()
    assert model.config.logits_scaling == 1 / 8
    assert_scores(model)


def test_a_decoder_whose_forward_was_wrapped_keeps_its_wrapper() -> None:
    """Libraries that spread a model over devices wrap it in this way."""
    model = deep_model("llama", 2).double()
    calls = [0]
    original = model.model.forward

    def wrapped(*arguments: Any, **settings: Any) -> Any:
        calls[0] += 1
        return original(*arguments, **settings)

    model.model.forward = wrapped
    assert_scores(model)
    assert model.model.forward is wrapped
    assert calls[0] == 1 + len(FACTS)


def test_the_decoder_is_itself_again_after_an_exception() -> None:
    model = deep_model("llama", 2).double()
    calls = [0]

    def broken(*_: object) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise RuntimeError("broken on purpose")

    handle = model.lm_head.register_forward_hook(broken)
    with pytest.raises(RuntimeError, match="on purpose"):
        scores_of(model, FACTS)
    handle.remove()
    assert "forward" not in vars(model.model)
    assert_scores(model)


def test_other_outputs_that_a_configuration_asks_for() -> None:
    """These are hidden states, attentions, the routers' logits and their loss."""
    model = deep_model("mixtral", 2).double()
    model.set_attn_implementation("eager")
    model.config.output_hidden_states = True
    model.config.output_attentions = True
    model.config.output_router_logits = True
    assert_scores(model)
