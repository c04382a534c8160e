"""Causal tracing as it is defined: one forward pass for each state, by plain hooks; no state reuses another's work.

It is slow and short, spells out the names of modules for each family, and shares no code with the library. It has two
functions: `trace_state` traces as ROME does, in one batch; `trace_patch` takes any two runs of any two models.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Positions = Mapping[str, Sequence[int]]
"""Names of modules, and the positions at which their outputs are replaced."""
Contrast = tuple[int, int] | None
"""A place in the answer, and the foil's token there; None without a foil."""
Scores = tuple[float, float, float, float]
"""Scores of an answer: the probability of its first token, the logarithm of that, its logit minus the foil's (NaN
without a foil), and the mean logarithm of all its tokens' probabilities."""
Hook = Callable[[nn.Module, Any, Any], Any]

LLAMA = ("model.layers.{}", "self_attn", "mlp", "model.embed_tokens")
GPT = ("transformer.h.{}", "attn", "mlp", "transformer.wte")
ALTERNATING = ("model.layers.{}", ("linear_attn", "self_attn"), "mlp", "model.embed_tokens")
WHOLE = ("model.layers.{}", "", "", "model.embeddings")
NAMES: dict[str, tuple[str, str | tuple[str, str], str, str]] = {
    **dict.fromkeys(("olmo", "olmo2", "olmo3", "llama", "mistral", "qwen2", "qwen3", "granite", "smollm3"), LLAMA),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text", "phi", "phi3", "stablelm", "cohere", "starcoder2"), LLAMA),
    **dict.fromkeys(("mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "gpt_oss", "glm"), LLAMA),
    **dict.fromkeys(("gpt2", "gptj", "gpt_neo"), GPT),
    "gpt_neox": ("gpt_neox.layers.{}", "attention", "mlp", "gpt_neox.embed_in"),
    "falcon": ("transformer.h.{}", "self_attention", "mlp", "transformer.word_embeddings"),
    "opt": ("model.decoder.layers.{}", "self_attn", "fc2", "model.decoder.embed_tokens"),
    **dict.fromkeys(("qwen3_5_text", "qwen3_next", "olmo_hybrid"), ALTERNATING),
    "bamba": ("model.layers.{}", ("mamba", "self_attn"), "feed_forward", "model.embed_tokens"),
    "granitemoehybrid": ("model.layers.{}", ("mamba", "self_attn"), "shared_mlp", "model.embed_tokens"),
    "falcon_h1": ("model.layers.{}", "", "feed_forward", "model.embed_tokens"),
    "nemotron_h": WHOLE,
    "zamba2": ("model.layers.{}", "", "", "model.embed_tokens"),
    **dict.fromkeys(("mamba", "mamba2"), ("backbone.layers.{}", "", "", "backbone.embeddings")),
}
"""Names of layer, attention, MLP and embeddings. Two attentions take turns; "" where a family has no such module in
every layer."""


def name_of(family: str, kind: str, layer: int) -> str:
    """Return the name of the module whose output is that of the layer, its attention or its MLP."""
    path, attention, mlp, _ = NAMES[family]
    path = path.format(layer)
    attention = attention if isinstance(attention, str) else attention[layer % 2]
    return {"layer": path, "mlp": f"{path}.{mlp}", "attention": f"{path}.{attention}"}[kind]


def kinds_of(family: str) -> list[str]:
    """Return the kinds of modules that all layers of the family have."""
    _, attention, mlp, _ = NAMES[family]
    return ["layer", *(["mlp"] if mlp else []), *(["attention"] if attention else [])]


def embedding_of(model: PreTrainedModel, family: str) -> nn.Module:
    """Return the token embeddings."""
    return model.get_submodule(NAMES[family][-1])


def noise_of(fact: str, seed: int, draws: int, tokens: int, width: int, scale: float) -> Tensor:
    """Return the library's noise, written anew from its description: seeded by the first 63 bits of a hash."""
    number = int(hashlib.sha256(f"{seed}:{fact}".encode()).hexdigest()[:16], 16) // 2
    generator = torch.Generator()
    generator.manual_seed(number)
    return torch.randn(draws, tokens, width, generator=generator, dtype=torch.float64) * scale


def window(kind: str, layer: int, width: int, depth: int) -> list[int]:
    """Return ROME's window, range(max(0, l - w // 2), min(L, l - (-w // 2))); whole layers have no window."""
    if kind == "layer":
        return [layer]
    return list(range(max(0, layer - width // 2), min(depth, layer - (-width // 2))))


@dataclass(frozen=True, eq=False)
class Run:
    """What a model is fed: one text, in as many rows as there are draws of noise, or in one row without noise."""

    model: PreTrainedModel
    family: str
    ids: Sequence[int]
    subject: Sequence[int] = ()
    noise: Tensor | None = None
    """(draws, subject tokens, width), added to the embeddings of the subject."""

    @property
    def rows(self) -> int:
        """Rows of the run, one for each draw of noise."""
        return 1 if self.noise is None else len(self.noise)

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        """The outputs (rows, T, width) of all layers, attentions and MLPs when nothing is patched."""
        found: dict[str, Tensor] = {}
        depth = self.model.config.get_text_config().num_hidden_layers
        names = [name_of(self.family, kind, n) for kind in kinds_of(self.family) for n in range(depth)]
        self.logits(self.rows, {name: _keep(found, name, self.rows) for name in names})
        return found

    def logits(self, rows: int, hooks: Mapping[str, Hook]) -> Tensor:
        """Return the logits (rows, T, vocabulary). A run of one row may be asked for several equal rows."""
        corrupt = {}
        if self.noise is not None:
            corrupt = {NAMES[self.family][-1]: _corrupt(slice(0, rows), self.subject, self.noise)}
        return _forward(self.model, self.ids, rows, {**corrupt, **hooks})


def trace_patch(
    receiver: Run,
    donor: Run,
    patch: Positions,
    answer_start: int,
    pinned: Positions | None = None,
    contrast: Contrast = None,
) -> list[Scores]:
    """Return the scores of the receiver's answer in each row, where some of its modules give the donor's outputs.

    `patch` names these modules and their positions. The modules in `pinned` give, at their positions, what they give in
    the receiver when nothing is patched. Rows are paired; where one run has a single row, it goes with every row of the
    other.
    """
    rows = max(receiver.rows, donor.rows)
    replaced: dict[str, list[tuple[int, Tensor]]] = {}
    for source, places in ((donor, patch), (receiver, pinned or {})):
        for name, positions in places.items():
            values = source.outputs[name].expand(rows, -1, -1)
            replaced.setdefault(name, []).extend((position, values[:, position]) for position in positions)
    logits = receiver.logits(rows, {name: _replace(found, rows) for name, found in replaced.items()})
    return [_score(row, receiver.ids, answer_start, contrast) for row in logits]


def trace_state(
    model: PreTrainedModel,
    family: str,
    ids: Sequence[int],
    answer_start: int,
    subject: Sequence[int],
    noise: Tensor,
    restore: Positions,
    contrast: Contrast = None,
) -> list[Scores]:
    """Trace as ROME does: row 0 of a pass is clean, and the other rows are noisy but for what they copy from row 0.

    The scores are those of row 0 and of each draw.
    """
    rows = 1 + len(noise)
    hooks: dict[str, Hook] = {NAMES[family][-1]: _corrupt(slice(1, rows), subject, noise)}
    hooks |= {name: _restore(positions, rows) for name, positions in restore.items()}
    logits = _forward(model, ids, rows, hooks)
    return [_score(row, ids, answer_start, contrast) for row in logits]


def _forward(model: PreTrainedModel, ids: Sequence[int], rows: int, hooks: Mapping[str, Hook]) -> Tensor:
    """Return the logits of all tokens but the last, which predicts nothing that is scored."""
    handles = [model.get_submodule(name).register_forward_hook(hook) for name, hook in hooks.items()]
    try:
        with torch.no_grad():
            return model(torch.tensor([list(ids)[:-1]] * rows, device=model.device), use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()


def _hidden(output: Any, rows: int) -> Tensor:
    """Return the hidden states (rows, T, width) in a module's output, as a view of the output's own memory."""
    hidden = output[0] if isinstance(output, tuple) else output
    assert isinstance(hidden, Tensor)
    # OPT's MLP has the tokens of all rows one after another.
    return hidden.view(rows, -1, hidden.shape[-1])


def _corrupt(rows: slice, subject: Sequence[int], noise: Tensor) -> Hook:
    """Return a hook that adds the noise to the subject's embeddings in these rows."""

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        output = output.clone()
        for place, position in enumerate(subject):
            output[rows, position] += noise[:, place].to(output)
        return output

    return hook


def _keep(found: dict[str, Tensor], name: str, rows: int) -> Hook:
    """Return a hook that keeps the module's output."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found[name] = _hidden(output, rows).clone()

    return hook


def _replace(values: Sequence[tuple[int, Tensor]], rows: int) -> Hook:
    """Return a hook that replaces the module's output at some positions."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        hidden = _hidden(output, rows)
        for position, value in values:
            hidden[:, position] = value

    return hook


def _restore(positions: Sequence[int], rows: int) -> Hook:
    """Return a hook that copies row 0 into all other rows at these positions."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        hidden = _hidden(output, rows)
        for position in positions:
            hidden[1:, position] = hidden[0, position]

    return hook


def _score(logits: Tensor, ids: Sequence[int], answer_start: int, contrast: Contrast) -> Scores:
    """Return the scores of the answer from the logits (T, vocabulary) of one row."""
    logs = []
    for position in range(answer_start, len(ids)):
        logs.append(float(torch.log_softmax(logits[position - 1], dim=-1)[ids[position]]))
    difference = math.nan
    if contrast is not None:
        place, foil = contrast
        position = answer_start + place
        difference = float(logits[position - 1, ids[position]] - logits[position - 1, foil])
    return math.exp(logs[0]), logs[0], difference, sum(logs) / len(logs)
