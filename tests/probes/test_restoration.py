"""Every probe leaves the model bitwise as it was, and PyTorch's random state too."""

import pytest
import torch

from tests.evaluation.tiny import byte_model
from tests.probes.world import probed
from unlearning.config.probe import Attribute, Measured, RelearnOn, RelearnRows
from unlearning.models.weights_hash import weights_hash
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.linear import LinearProbe
from unlearning.probes.primed import Primed
from unlearning.probes.probe import Probe
from unlearning.probes.quantization import Quantized
from unlearning.probes.questions import Questions
from unlearning.probes.recognition import Recognition
from unlearning.probes.relearning import Relearning
from unlearning.probes.weights import restored_afterwards

KNOWLEDGE = Measured.knowledge


def relearning(source: RelearnOn = RelearnOn.forget, lora_rank: int | None = None) -> Relearning:
    """Return a relearning probe of two steps that change every weight."""
    return Relearning(source, 0.2, RelearnRows.all, [1, 2], None, 0.05, 4, lora_rank, None, KNOWLEDGE, 0)


ALL: dict[str, Probe] = {
    "relearning": relearning(),
    "relearning with adapters": relearning(lora_rank=2),
    "relearning on retain rows": relearning(RelearnOn.retain),
    "quantized": Quantized(4, 8, KNOWLEDGE),
    "questions": Questions(["So: {question}"], True),
    "primed": Primed("Sure:", 0, KNOWLEDGE),
    "recognition": Recognition(3, 0),
    "linear": LinearProbe(Attribute.truth, None, 3, 10.0, 0),
    "adapter": AdapterRemoved(KNOWLEDGE),
}


@pytest.mark.parametrize("probe", ALL.values(), ids=ALL)
def test_nothing_is_left_behind(probe: Probe) -> None:
    """Weights, requires_grad, modes, gradients, hooks and the names of all modules are as before."""
    asked = probed()
    model = asked.model
    frozen = next(iter(model.parameters())).requires_grad_(False)
    weights, names = weights_hash(model), [name for name, _ in model.named_modules()]
    random = torch.get_rng_state()
    found = probe.run(asked)
    assert found.items
    assert weights_hash(model) == weights
    assert [name for name, _ in model.named_modules()] == names
    assert not frozen.requires_grad
    assert sum(not weight.requires_grad for weight in model.parameters()) == 1
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module.training or module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", ALL)
def test_the_same_twice(name: str) -> None:
    """A probe finds the same in two copies of a model, whatever random numbers were drawn before."""
    first = ALL[name].run(probed())
    torch.rand(3)
    assert ALL[name].run(probed()) == first


def test_weights_come_back_after_an_error() -> None:
    """The weights are restored after an interruption."""
    model = byte_model("llama")
    before = weights_hash(model)

    def interrupted() -> None:
        with restored_afterwards(model, model.parameters()):
            for weight in model.parameters():
                weight.data.add_(1.0)
            model.train()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert weights_hash(model) == before
    assert not model.training
