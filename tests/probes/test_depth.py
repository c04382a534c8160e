"""The depth probe: patching against a plain forward pass layer by layer, and the score by hand."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.evaluation.tiny import byte_model
from tests.probes.world import probed
from unlearning.config.prompt import PromptConfig
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError
from unlearning.probes.depth import DepthScore
from unlearning.probes.patching import losses_by_patching
from unlearning.probes.probe import ComparedModels, DoesNotApplyError, ProbedModel

QUESTIONS = [Row(f"{n}qa0", f"Q{n}?", "", "Task2", Kind.QUESTION, Split.FORGET) for n in range(3)]


def replaced_input(_module: nn.Module, inputs: tuple[Any, ...], places: slice, states: Tensor) -> tuple[Any, ...]:
    """Return a module's inputs with the hidden states (1, T, width) of some tokens replaced."""
    hidden = inputs[0].clone()
    hidden[0, places] = states
    return (hidden, *inputs[1:])


def plain_losses(target: PreTrainedModel, source: PreTrainedModel, row: EncodedRow) -> list[float]:
    """Return D of one row, restated: the input of what follows a layer is replaced, the final norm after the last."""
    ids, places = torch.tensor([row.input_ids]), slice(row.supervised_from - 1, len(row.input_ids) - 1)
    after = [(model.model.layers[1], model.model.norm) for model in (target, source)]

    def log_p() -> float:
        logs = target(ids).logits[0, places].log_softmax(-1)
        return logs.gather(-1, ids[0, row.supervised_from :, None]).mean().item()

    found = []
    with torch.no_grad():
        before = log_p()
        for follows, donor in zip(*after, strict=True):
            caught: list[Tensor] = []
            handle = donor.register_forward_pre_hook(lambda _, inputs, caught=caught: caught.append(inputs[0]))
            source(ids)
            handle.remove()
            hook = partial(replaced_input, places=places, states=caught[0][0, places])
            handle = follows.register_forward_pre_hook(hook)
            found.append(before - log_p())
            handle.remove()
    return found


@pytest.mark.parametrize("batch_tokens", [1, 1000])
def test_patching_is_that_of_one_row_and_layer_at_a_time(batch_tokens: int) -> None:
    """In float64; a model patched with its own states loses nothing, not even at the last layer."""
    target, source = byte_model("llama", 0), byte_model("llama", 1)
    made = probed(target)
    encoded = encode_rows(made.corpus.forget[:5], made.tokenizer, PromptConfig(append_eos=False))
    counted: list[int] = []
    found = losses_by_patching(target, source, encoded, batch_tokens, counted.append)
    expected = np.transpose([plain_losses(target, source, row) for row in encoded])
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert np.abs(found).min() > 1e-6
    assert sum(counted) == 2 * 5
    assert not losses_by_patching(target, target, encoded, batch_tokens, counted.append).any()


def test_the_score_by_hand() -> None:
    """Layers above 0.05 count: UDS = (1 * 0.5 + 2 * 1) / 3 of the first row, 0 of the second; the third has none."""
    known = np.array([[1.0, 0.04, 0.01], [2.0, 0.5, 0.0], [0.05, 0.06, 0.05]])
    gone = np.array([[0.5, 0.04, 9.0], [7.0, -1.0, 9.0], [0.05, 0.0, 9.0]])
    found = DepthScore(0.05).measurement(QUESTIONS, known, gone)
    assert [item.score for item in found.items] == pytest.approx([0.5 / 3, 1.0])
    assert [(point.effort, [item.id for item in point.asked]) for point in found.curve] == [
        (0, ["0qa0"]),
        (1, ["0qa0", "1qa0"]),
        (2, ["1qa0"]),
    ]
    assert [item.score for item in found.curve[1].asked] == [0.0, 1.0]
    assert found.notes == ["2 of 3 questions have layers that count, on average 2.0 of 3"]
    with pytest.raises(DoesNotApplyError, match="costs the target nothing"):
        DepthScore(0.05).measurement(QUESTIONS, gone * 0, gone)


def with_others(model: PreTrainedModel) -> ProbedModel:
    """Return what is asked of a model, beside a target of seed 0 and a retrained model of seed 1."""
    others = ComparedModels(lambda: byte_model("llama", 0), lambda: byte_model("llama", 1))
    return replace(probed(model, count=3), compared=others)


def test_the_target_has_all_and_the_retrained_model_nothing() -> None:
    """All is left in the target itself, and nothing in the retrained model; without these two it does not apply."""
    probe = DepthScore(0.001)
    assert {item.score for item in probe.run(with_others(byte_model("llama", 0))).items} == {1.0}
    assert {item.score for item in probe.run(with_others(byte_model("llama", 1))).items} == {0.0}
    with pytest.raises(DoesNotApplyError, match="a target and a retrained model"):
        probe.run(probed())
    with pytest.raises(InputError, match="depth probe: model of 3 layers of width 32, target of 2 of width 32"):
        probe.run(with_others(byte_model("llama", num_hidden_layers=3)))
