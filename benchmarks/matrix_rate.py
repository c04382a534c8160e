"""The floating-point operations that a model's matrix products need, and how fast this machine does such products.

A product of an (N, I) with an (I, O) matrix has 2 N I O operations. A training step needs, for each linear module and
each token, one product forwards, one backwards for the gradient of its input if something before it is trained, and one
for the gradient of its weight if that is trained. The output projection is needed for supervised tokens alone. What
attention, norms and the optimiser need is not counted, so even a perfect step has less than the machine's rate.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from unlearning.models import anatomy

REPEATS = 3


@dataclass(frozen=True)
class Product:
    """One kind of matrix product: so many rows, with a weight of this shape."""

    rows: int
    inputs: int
    outputs: int

    @property
    def operations(self) -> int:
        """Return the floating-point operations of one product."""
        return 2 * self.rows * self.inputs * self.outputs


Products = Mapping[Product, float]
"""How many products there are of each kind; fractions stand for shares of a kind's rows."""


def forward_products(model: PreTrainedModel, tokens: int, scored: int, at_once: int) -> dict[Product, float]:
    """Return the products of passes over `tokens`, `at_once` in each; `scored` of all tokens need logits."""
    found: dict[Product, float] = {}
    head = model.get_output_embeddings()
    for module in _linear_modules(model):
        wanted = scored if module is head else tokens
        _add(
            found, Product(min(wanted, at_once), module.in_features, module.out_features), wanted / min(wanted, at_once)
        )
    return found


def training_products(model: PreTrainedModel, tokens: int, scored: int, at_once: int) -> dict[Product, float]:
    """Return the products of training steps over `tokens`, of which `scored` are supervised.

    Whether a weight is trained is what its `requires_grad` says; adapters count as modules of their own.
    """
    found = forward_products(model, tokens, scored, at_once)
    head = model.get_output_embeddings()
    layers = anatomy.layers(model)
    first = next(index for index, layer in enumerate(layers) if _is_trained(layer))
    # Of the first trained layer only some inputs need a gradient; none are counted.
    without = {id(module) for layer in layers[: first + 1] for module in layer.modules()}
    for module in _linear_modules(model):
        wanted = scored if module is head else tokens
        rows = min(wanted, at_once)
        if id(module) not in without:
            _add(found, Product(rows, module.out_features, module.in_features), wanted / rows)
        if module.weight.requires_grad:
            _add(found, Product(module.out_features, rows, module.in_features), wanted / rows)
    return found


def operations(products: Products) -> float:
    """Return the floating-point operations of all products."""
    return sum(product.operations * count for product, count in products.items())


def machine_rate(products: Products) -> float:
    """Return the floating-point operations a second of this machine for these products, each timed in float32."""
    seconds = sum(_seconds(product) * count for product, count in products.items())
    return operations(products) / seconds


def _seconds(product: Product) -> float:
    """Return the shortest time of a few such products, after one that warms up."""
    left, right = torch.randn(product.rows, product.inputs), torch.randn(product.outputs, product.inputs)
    times = []
    with torch.no_grad():
        for _ in range(1 + REPEATS):
            start = time.perf_counter()
            nn.functional.linear(left, right)
            times.append(time.perf_counter() - start)
    return min(times[1:])


def _linear_modules(model: PreTrainedModel) -> Iterable[nn.Linear]:
    return (module for module in model.modules() if isinstance(module, nn.Linear))


def _is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _add(products: dict[Product, float], product: Product, count: float) -> None:
    products[product] = products.get(product, 0.0) + count
