"""Where any decoder-only architecture keeps its layers, their MLP and attention, its embeddings and its head.

Nothing here names a model class: the layers are found by how many they are, their modules by an ordered list of child
names that covers the families in transformers 5. What cannot be found raises InputError; nothing is guessed.
"""

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError

WITHOUT_ROLES = ("mamba", "conv", "temporal_block")
"""Modules that mix tokens in the place of attention, and have no queries, keys or values. Some of them read the weights
of their linear modules without calling them, so that an adapter there would do nothing."""
REFUSED = {"bloom": "its attention bias is laid out by batch row, so rows of one batch cannot be told apart"}
PART_NAMES = {
    ModuleKind.mlp: ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "shared_mlp", "mlp_block", "fc2"),
    ModuleKind.attention: ("self_attn", "attention", "attn", "self_attention", "linear_attn", *WITHOUT_ROLES),
}
NORM_NAMES = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm", "norm_f", "embedding_norm", "ln_out")
FUSED = ("qkv_proj", "query_key_value", "c_attn", "in_proj_qkv", "in_proj_qkvz")
ATTENTION_MODULES = {
    "q": ("q_proj", *FUSED),
    "k": ("k_proj", *FUSED),
    "v": ("v_proj", *FUSED),
    "o": ("o_proj", "out_proj", "dense", "c_proj"),
}
MLP_MODULES = {
    "gate": ("gate_proj", "gate_up_proj", "input_linear", "w1"),
    "up": ("up_proj", "gate_up_proj", "dense_h_to_4h", "c_fc", "fc_in", "fc1", "input_linear", "w3"),
    "down": ("down_proj", "dense_4h_to_h", "c_proj", "fc_out", "fc2", "output_linear", "w2"),
}


def decoder(model: PreTrainedModel) -> nn.Module:
    """Return the decoder: embeddings, layers and final norm, which is the causal language model without its head.

    Raises:
        InputError: the family is refused by name, or the model has no decoder that can be found.
    """
    family = model.config.model_type
    if family in REFUSED:
        raise InputError(f"model_type={family}: not supported, {REFUSED[family]}")
    found = model.get_decoder() if hasattr(model, "get_decoder") else None
    if not isinstance(found, nn.Module) or found is model:
        found = getattr(model, str(getattr(model, "base_model_prefix", "")), None)
    if not isinstance(found, nn.Module):
        raise InputError(f"model_type={family}: no decoder found; a causal language model is needed")
    return found


def layers(model: PreTrainedModel) -> list[nn.Module]:
    """Return the decoder's layers, first to last: its child list of `num_hidden_layers` modules.

    Raises:
        InputError: there is no such list.
    """
    stack = decoder(model)
    depth = model.config.get_text_config().num_hidden_layers
    for child in stack.children():
        if isinstance(child, nn.ModuleList) and len(child) == depth:
            return list(child)
    raise InputError(f"model_type={model.config.model_type}: its decoder has no list of {depth} layers")


def part(layer: nn.Module, kind: ModuleKind) -> nn.Module:
    """Return the module whose output is that of the layer's MLP or attention, or the layer itself.

    Each layer is searched for itself, because hybrid architectures alternate between kinds of attention: what mixes a
    layer's tokens counts as its attention, be it attention, linear attention or a state space model. Outputs are
    (B, T, width), alone or first in a tuple; OPT's MLP is represented by its last linear module, whose output is
    (B * T, width). For weights see `part_parameters`.

    Raises:
        InputError: the layer has no such child, or two (Falcon-H1's attention and Mamba run beside each other).
    """
    found = _children(layer, kind)
    if len(found) > 1:
        both = f"{' and '.join(found)} are its {kind} together, so no single output is"
        raise InputError(f"{type(layer).__name__}: {both}; choose layer")
    return next(iter(found.values()))


def part_parameters(layer: nn.Module, kind: ModuleKind) -> list[nn.Parameter]:
    """Return all weights of the layer's MLP or attention, without the norms around it, or of the whole layer.

    Raises:
        InputError: the layer has no such part.
    """
    found = _children(layer, kind)
    if "fc2" in found:
        # OPT's MLP is two linear modules of the layer itself, without a module around them.
        found = {"fc1": layer.get_submodule("fc1"), **found}
    return [parameter for child in found.values() for parameter in child.parameters()]


def _children(layer: nn.Module, kind: ModuleKind) -> dict[str, nn.Module]:
    """Return the layer's children that are its MLP or attention, by name, or the layer itself.

    Raises:
        InputError: there is no such child.
    """
    if kind is ModuleKind.layer:
        return {"": layer}
    named = dict(layer.named_children())
    found = {name: named[name] for name in PART_NAMES[kind] if name in named}
    if not found:
        raise InputError(f"{type(layer).__name__}: no {kind} among its parts ({', '.join(named)}); choose layer")
    return found


def embeddings(model: PreTrainedModel) -> nn.Module:
    """Return the token embeddings, which turn ids (B, T) into vectors (B, T, width)."""
    found = model.get_input_embeddings()
    if not isinstance(found, nn.Module):
        raise InputError(f"model_type={model.config.model_type}: no input embeddings found")
    return found


def final_norm(model: PreTrainedModel) -> nn.Module:
    """Return the norm between the last layer and the output projection.

    Raises:
        InputError: there is none (OPT-350m) or it has no known name.
    """
    stack = decoder(model)
    found = next((getattr(stack, name) for name in NORM_NAMES if hasattr(stack, name)), None)
    if not isinstance(found, nn.Module):
        raise InputError(f"model_type={model.config.model_type}: no final norm found")
    return found


def head_modules(model: PreTrainedModel) -> list[nn.Module]:
    """Return the final norm (it may have no parameters) and the output projection (it may be tied to the embeddings).

    Raises:
        InputError: one of them cannot be found.
    """
    projection = model.get_output_embeddings()
    if not isinstance(projection, nn.Module):
        raise InputError(f"model_type={model.config.model_type}: no output projection found")
    return [final_norm(model), projection]


def linear_modules(layer: nn.Module) -> dict[str, list[str]]:
    """Return the names, relative to the layer, of the linear modules of each of the seven usual roles.

    Keys are always q, k, v, o, gate, up, down. A fused projection is listed under each of its roles; a role that the
    architecture lacks (GPT-2's gate, the experts of a mixture, a state space model's q) has an empty list.

    Raises:
        InputError: no module of any role was found.
    """
    mixers = _children(layer, ModuleKind.attention)
    with_roles = [child for name, child in mixers.items() if name not in WITHOUT_ROLES]
    inside = {id(module) for child in with_roles for module in child.modules()}
    outside = {id(module) for child in mixers.values() for module in child.modules()} - inside
    linear = [(name, m) for name, m in layer.named_modules() if isinstance(m, nn.Linear | Conv1D)]
    own = [name for name, module in linear if id(module) in inside]
    rest = [name for name, module in linear if id(module) not in inside | outside]
    found = {role: _named(own, names) for role, names in ATTENTION_MODULES.items()}
    found |= {role: _named(rest, names) for role, names in MLP_MODULES.items()}
    if not any(found.values()):
        raise InputError(f"{type(layer).__name__}: no linear modules of a known name")
    return found


def _named(paths: list[str], leaves: tuple[str, ...]) -> list[str]:
    """Return the paths whose last component is one of the leaves, in the layer's own order."""
    return [path for path in paths if path.rpartition(".")[2] in leaves]
