"""A range of a model's layers has the outputs that these layers have in the whole model."""

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import ALL_FAMILIES, STATEFUL, tiny_model
from unlearning.models import anatomy
from unlearning.models.layer_range import LayerRange

IDS = torch.tensor([[5, 9, 11, 40, 7, 8], [6, 6, 50, 13, 21, 30]])
POSITIONS = torch.tensor([[0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 4, 5]])


def outputs_of(model: nn.Module, module: nn.Module) -> Tensor:
    """Return the output of one module in an ordinary pass."""
    found: list[Tensor] = []
    handle = module.register_forward_hook(
        lambda _m, _i, output: found.append(output[0] if isinstance(output, tuple) else output)
    )
    model(input_ids=IDS, position_ids=POSITIONS, use_cache=False)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("family", [name for name in (*ALL_FAMILIES, *STATEFUL) if name != "opt"])
def test_stops_and_starts_anywhere(family: str) -> None:
    """Layer 0 alone, and the rest from its output, equal the whole pass; OPT has no positions to restart."""
    model = tiny_model(family, num_hidden_layers=3).requires_grad_(False)
    layers = anatomy.layers(model)
    first, last = outputs_of(model, layers[0]), outputs_of(model, layers[-1])
    run = LayerRange(model)
    with run.running(0, 0, None) as found:
        model(input_ids=IDS, position_ids=POSITIONS, use_cache=False)
    assert torch.equal(found[0], first)
    with run.running(1, 2, first) as found:
        model(input_ids=IDS, position_ids=POSITIONS, use_cache=False)
    torch.testing.assert_close(found[0], last, atol=1e-6, rtol=1e-6)
    assert anatomy.layers(model) == layers


def test_left_out_layers_do_not_run() -> None:
    """Hooks count that two of four layers run."""
    model = tiny_model("olmo", num_hidden_layers=4)
    ran: list[int] = []
    for number, layer in enumerate(anatomy.layers(model)):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    run = LayerRange(model)
    ran.clear()
    with run.running(1, 2, torch.zeros(2, 6, 32)):
        model(input_ids=IDS, position_ids=POSITIONS, use_cache=False)
    assert ran == [1, 2]


def test_everything_is_put_back_after_an_error() -> None:
    """The model is whole again after an error."""
    model = tiny_model("llama")
    before = outputs_of(model, anatomy.layers(model)[-1])
    run = LayerRange(model)
    with pytest.raises(IndexError), run.running(1, 1, None):
        model(input_ids=torch.tensor([[10_000]]))
    assert torch.equal(outputs_of(model, anatomy.layers(model)[-1]), before)
    assert len(dict(model.named_parameters())) == len(dict(tiny_model("llama").named_parameters()))
