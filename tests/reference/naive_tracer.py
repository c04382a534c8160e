"""Causal tracing as ROME writes it: one forward pass a state, the clean run in row 0, the corrupted draws after it.

Slow, short, with module names spelt out by family, and nothing in common with the library but the definition.
"""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

BLOCK, ATTENTION, EMBEDDING = 0, 1, 2
LLAMA = ("model.layers.{}", "self_attn", "model.embed_tokens")
NAMES = {
    "gpt2": ("transformer.h.{}", "attn", "transformer.wte"),
    "gpt_neox": ("gpt_neox.layers.{}", "attention", "gpt_neox.embed_in"),
}


def name_of(family: str, kind: str, block: int) -> str:
    """Where the family keeps the block, or its part."""
    names = NAMES.get(family, LLAMA)
    path = names[BLOCK].format(block)
    return {"block": path, "mlp": f"{path}.mlp", "attention": f"{path}.{names[ATTENTION]}"}[kind]


def embedding_of(model: PreTrainedModel, family: str) -> nn.Module:
    """The token embeddings."""
    return model.get_submodule(NAMES.get(family, LLAMA)[EMBEDDING])


def noise_of(fact: str, seed: int, draws: int, tokens: int, width: int, scale: float) -> Tensor:
    """The same noise as the library's, from its description: seeded by the first 63 bits of a hash."""
    number = int(hashlib.sha256(f"{seed}:{fact}".encode()).hexdigest()[:16], 16) // 2
    generator = torch.Generator()
    generator.manual_seed(number)
    return torch.randn(draws, tokens, width, generator=generator, dtype=torch.float64) * scale


def window(kind: str, block: int, width: int, depth: int) -> list[int]:
    """ROME's range(max(0, l - w // 2), min(L, l - (-w // 2))); a block stands alone."""
    if kind == "block":
        return [block]
    return list(range(max(0, block - width // 2), min(depth, block - (-width // 2))))


def trace_state(
    model: PreTrainedModel,
    family: str,
    ids: Sequence[int],
    answer_start: int,
    subject: Sequence[int],
    noise: Tensor,
    restore: dict[str, Sequence[int]],
) -> list[tuple[float, float]]:
    """(first token's probability, mean log-probability of the answer) of row 0 and of each draw."""
    rows = torch.tensor([list(ids)] * (1 + len(noise)))
    handles = [embedding_of(model, family).register_forward_hook(_corrupt(subject, noise))]
    for name, positions in restore.items():
        handles.append(model.get_submodule(name).register_forward_hook(_patch(positions)))
    try:
        with torch.no_grad():
            logits = model(rows).logits
    finally:
        for handle in handles:
            handle.remove()
    return [_score(row, ids, answer_start) for row in logits]


def _corrupt(subject: Sequence[int], noise: Tensor) -> Callable[[nn.Module, object, Tensor], Tensor]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        output = output.clone()
        for place, position in enumerate(subject):
            output[1:, position] += noise[:, place].to(output.dtype)
        return output

    return hook


def _patch(positions: Sequence[int]) -> Callable[[nn.Module, object, object], None]:
    def hook(_module: nn.Module, _inputs: object, output: object) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        assert isinstance(hidden, Tensor)
        for position in positions:
            hidden[1:, position] = hidden[0, position]

    return hook


def _score(logits: Tensor, ids: Sequence[int], answer_start: int) -> tuple[float, float]:
    logs = []
    for position in range(answer_start, len(ids)):
        logs.append(float(torch.log_softmax(logits[position - 1], dim=-1)[ids[position]]))
    return float(torch.tensor(logs[0], dtype=torch.float64).exp()), sum(logs) / len(logs)
