"""The parameters that a scope lets move, found by training steps."""

import torch

from tests.tiny_models import tiny_model
from unlearning.scopes.scope import Scope, trainable_names

DEPTH = 4


def moved(family: str, scope: Scope, traced: list[int] | None = None) -> set[str]:
    """Return the names of the parameters that training changes; all others are equal to the last bit."""
    model = tiny_model(family, num_hidden_layers=DEPTH, n_layer=DEPTH)
    scoped = scope.apply(model, traced)
    before = {name: parameter.detach().clone() for name, parameter in scoped.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in scoped.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    for _ in range(2):  # LoRA's A has no gradient before B has left zero
        optimizer.zero_grad()
        ids = torch.arange(3, 23).reshape(2, 10)
        scoped(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    changed = {name for name, parameter in scoped.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == set(trainable_names(scoped))
    return changed
