"""Tests of docs/memory.md: parameters are counted on the real architectures without weights, bytes are calculated.

    python -m tests.test_memory_plan

prints the tables of the page.
"""

import os
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from transformers import AutoModelForCausalLM, AutoTokenizer, OlmoConfig, PreTrainedModel

from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.load import load_corpus
from unlearning.data.packing import supervised_tokens
from unlearning.models import anatomy
from unlearning.scopes.scope import Scope
from unlearning.training.row_model import first_trained_layer, plain_model

PAGE = Path(__file__).parent.parent / "docs" / "memory.md"
VOCABULARY, GIB, TOKENS = 50304, 2**30, 2048
ALL_TOKENS, RETAIN_ANSWERS = 160_466, 22_681
"""Tokens of the official training rows: all of both sets, and the supervised ones of the retain rows."""
ARCHITECTURES = {
    "OLMo-1B": {
        "num_hidden_layers": 16,
        "hidden_size": 2048,
        "num_attention_heads": 16,
        "intermediate_size": 8192,
        "clip_qkv": 8.0,
    },
    "OLMo-7B": {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "intermediate_size": 11008,
        "clip_qkv": None,
    },
}
MACHINES = ((8, 40), (1, 80), (1, 24))
"""Number of devices, and the GiB of each."""
SCOPES = ("all", "first_6_mlp", "last_8", "lora", "qlora")


def architecture(changes: dict[str, object]) -> PreTrainedModel:
    """Return a model of OLMo's class; its weights are on torch's current default device."""
    settings = {"vocab_size": VOCABULARY, "tie_word_embeddings": False, "attn_implementation": "sdpa", **changes}
    model: PreTrainedModel = AutoModelForCausalLM.from_config(OlmoConfig(**settings))
    return model


@cache
def scope_of(name: str) -> Scope:
    """Return the scope that conf/scope/NAME.yaml describes."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        scope: Scope = build(settings_of(compose("unlearn", ["model=olmo_7b", f"scope={name}"])).scope)  # type: ignore[union-attr]
    return scope


@dataclass(frozen=True)
class Plan:
    """Counts of parameters of one model under one scope, and the bytes that they take on a device."""

    total: int
    """Parameters of the model itself."""
    trained: int
    layer: int
    """Parameters of one layer. All of them are in linear modules and can be held in 4 bits."""
    depth: int
    layers: int
    """Number of layers from the first trained one to the last."""
    width: int
    inner: int
    clipped: bool
    """Whether queries, keys and values are clipped."""

    @property
    def linear(self) -> int:
        """Parameters of all layers, that is all but embeddings and head."""
        return self.depth * self.layer

    @property
    def mixed(self) -> float:
        """Bytes in bf16-mixed: float32 weights, gradients and two moments, and bfloat16 copies that autocast keeps."""
        return 4 * self.total + 12 * self.trained + 2 * (self.trained + self.layer)

    @property
    def true(self) -> float:
        """Bytes in bf16-true, where weights, gradients and moments are in bfloat16."""
        return 2 * self.total + 6 * self.trained

    @property
    def in_4_bits(self) -> float:
        """Bytes with NF4 and quantised constants, 4.127 bits (QLoRA, section 3); rest and adapters are in float32."""
        return 4.127 / 8 * self.linear + 4 * (self.total - self.linear) + 16 * self.trained + 2 * self.layer

    @property
    def shard(self) -> float:
        """Bytes with fsdp on 8 devices in bf16-mixed: an eighth of all, embeddings and head whole, and two layers."""
        outside = 4 * (self.total - self.linear)  # in float32 while frozen, else weights and gradients in bfloat16
        return (4 * self.total + 12 * self.trained) / 8 + outside + 2 * 2 * self.layer

    @property
    def kept(self) -> int:
        """Bytes of activations of TOKENS tokens that the backward pass needs, in bf16-mixed."""
        return TOKENS * self.layers * layer_bytes(self.width, self.inner, self.clipped, True)

    @property
    def recomputed(self) -> int:
        """The same with gradient checkpointing: the float32 inputs of all layers, and the activations of one layer."""
        return TOKENS * (4 * self.layers * self.width + layer_bytes(self.width, self.inner, self.clipped, True))

    def needed(self, way: str) -> float:
        """Return the GiB on a device with gradient checkpointing, with 1.5 for logits and 1 for CUDA."""
        return {"mixed": self.mixed, "true": self.true, "4 bits": self.in_4_bits, "fsdp": self.shard}[way] / GIB + (
            self.recomputed / GIB + 2.5
        )


def layer_bytes(width: int, inner: int, clipped: bool, mixed: bool) -> int:
    """Return the bytes that an OLMo layer keeps of one token for the backward pass."""
    return ((30 if mixed else 24) + (6 if clipped else 0)) * width + 8 * inner


@cache
def plan_of(model: str, scope: str) -> Plan:
    """Return the counts of a model under a scope, made on the meta device."""
    settings = ARCHITECTURES[model]
    with torch.device("meta"):
        whole = architecture(settings)
        layers = anatomy.layers(whole)
        total, layer = (sum(weight.numel() for weight in part.parameters()) for part in (whole, layers[0]))
        scoped = scope_of(scope).apply(whole, None)
    trained = sum(weight.numel() for weight in scoped.parameters() if weight.requires_grad)
    moving = len(layers) - first_trained_layer(plain_model(scoped))
    width, inner = settings["hidden_size"], settings["intermediate_size"]
    assert isinstance(width, int)
    assert isinstance(inner, int)
    return Plan(total, trained, layer, len(layers), moving, width, inner, settings["clip_qkv"] is not None)


def sizes(model: str, scope: str) -> str:
    """Return a line of the page's first table."""
    plan = plan_of(model, scope)
    held = [plan.in_4_bits, None, None] if scope == "qlora" else [plan.mixed, plan.true, plan.shard]
    numbers = [f"{size / GIB:.1f}" if size else "-" for size in (*held, plan.kept, plan.recomputed)]
    return f"| {model} | `{scope}` | {plan.trained:,} | {' | '.join(numbers)} |"


def choices(model: str, scope: str) -> str:
    """Return a line of the page's second table: the first way that fits each machine, exact before rounded ways."""
    plan = plan_of(model, scope)
    found = []
    for devices, card in MACHINES:
        ways = ["4 bits"] if scope == "qlora" else ["mixed", *(["fsdp"] if devices > 1 else []), "true"]
        # With ddp each device holds what it exchanges, its gradients in float32, once more.
        more = 4 * plan.trained / GIB if devices > 1 else 0.0
        fits = [way for way in ways if plan.needed(way) + (0 if way == "fsdp" else more) <= card]
        found.append(f"{fits[0]}, {plan.needed(fits[0]):.0f}" if fits else "no")
    return f"| {model} | `{scope}` | {' | '.join(found)} |"


@pytest.mark.parametrize("model", ARCHITECTURES)
@pytest.mark.parametrize("scope", SCOPES)
def test_the_page_says_so(model: str, scope: str) -> None:
    """Both tables of the page have the calculated lines."""
    lines = PAGE.read_text().splitlines()
    assert len([line for line in lines if line.startswith(f"| {model} | `{scope}` |")]) == 2
    assert sizes(model, scope) in lines
    assert choices(model, scope) in lines


def test_parameters() -> None:
    """The counts that others have published, and those that follow from the shapes.

    7B: a layer has 4 * 4096^2 + 3 * 4096 * 11008 = 202,375,168, its MLP 3 * 4096 * 11008 = 135,266,304; LoRA of rank 16
    on q, v (4096 to 4096), up and down (4096 to 11008): 16 * (2 * 8192 + 2 * 15104) = 745,472 a layer. 1B: MLPs of
    3 * 2048 * 8192 = 50,331,648.
    """
    small, large = (plan_of(model, "all") for model in ARCHITECTURES)
    assert small.total == small.trained == 1_279_787_008
    assert large.total == large.trained == 6_888_095_744 == 2 * 50304 * 4096 + 32 * 202_375_168
    assert plan_of("OLMo-1B", "first_6_mlp").trained == 301_989_888 == 6 * 50_331_648
    assert plan_of("OLMo-7B", "first_6_mlp").trained == 811_597_824 == 6 * 135_266_304
    assert plan_of("OLMo-7B", "lora").trained == 23_855_104 == 32 * 745_472
    assert plan_of("OLMo-7B", "last_8").trained == 1_619_001_344 == 8 * 202_375_168
    assert plan_of("OLMo-7B", "last_8").layers == 8


def saved_bytes(inner: int, clipped: bool, mixed: bool, depth: int, packs: int) -> int:
    """Return the bytes that torch keeps for the backward pass of a decoder of width 64, without the weights."""
    shape = {"vocab_size": 96, "eos_token_id": 1, "hidden_size": 64, "num_attention_heads": 4}
    clip = 8.0 if clipped else None
    model = architecture({**shape, "num_hidden_layers": depth, "intermediate_size": inner, "clip_qkv": clip})
    model.to(torch.float32 if mixed else torch.bfloat16)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids, positions = torch.zeros((packs, 128), dtype=torch.long), torch.arange(64).repeat(packs, 2)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        anatomy.decoder(model)(input_ids=ids, position_ids=positions, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


@pytest.mark.parametrize("mixed", [False, True], ids=["bf16-true", "bf16-mixed"])
@pytest.mark.parametrize(("inner", "clipped"), [(256, True), (172, False)], ids=["as 1B", "as 7B"])
def test_activations_of_a_layer(inner: int, clipped: bool, mixed: bool) -> None:
    """The formula is equal to what is counted: what one more layer costs for one more pack of 128 tokens.

    Copies of weights are the same for all packs and drop out of this difference. The formula leaves out the statistics
    of norms and the log-sum-exps of attention, 16 bytes a token each here: they are half a byte for each unit of width
    at width 64, and next to nothing at width 4096.
    """
    saved = {(d, p): saved_bytes(inner, clipped, mixed, d, p) for d in (1, 2) for p in (1, 2)}
    counted = (saved[2, 2] - saved[2, 1] - saved[1, 2] + saved[1, 1]) / 128
    assert counted == layer_bytes(64, inner, clipped, mixed) + 32


def test_reference_and_prefix() -> None:
    """The page has the sizes of the tables for the official rows.

    Float32 states of the retain answers take 22,681 * 4096 * 4 bytes = 0.35 GiB, logits 22,681 * 50,304 * 4 bytes =
    4.25 GiB, the 50 highest logits 22,681 * 50 * 12 bytes = 13 MiB. The frozen first layers take 160,466 * 4096 * 4
    bytes = 2.45 GiB.
    """
    page = " ".join(PAGE.read_text().split())
    width = {model: settings["hidden_size"] for model, settings in ARCHITECTURES.items()}
    for number in width.values():
        assert isinstance(number, int)
        assert f"{RETAIN_ANSWERS * number * 4 / GIB:.2f}" in page
        assert f"{ALL_TOKENS * number * 4 / GIB:.2f}" in page
    assert f"{RETAIN_ANSWERS * VOCABULARY * 4 / GIB:.2f} GiB" in page
    assert f"{RETAIN_ANSWERS * 50 * 12 / 2**20:.0f} MiB" in page
    assert TrainerConfig().reference_gib == TrainerConfig().prefix_cache_gib == 4.0, "as the page has it"
    assert f"{ALL_TOKENS:,}" in page
    assert f"{RETAIN_ANSWERS:,}" in page


def test_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the page is a valid configuration."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")
    commands = re.findall(r"^unlearn (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) >= 4
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for words in commands:
            settings_of(compose("unlearn", shlex.split(words)))


@pytest.mark.official
@pytest.mark.skipif("UNLEARNING_DATA" not in os.environ, reason="UNLEARNING_DATA is not set: no official data")
def test_official_tokens() -> None:
    """The counts of tokens are those of the OLMo tokenizer with the prompts of training."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = settings_of(compose("unlearn", ["data=semeval25", "evaluation=semeval", "model=olmo_7b"]))
    assert isinstance(config, UnlearnConfig)
    corpus = load_corpus(config.data)
    tokenizer = AutoTokenizer.from_pretrained(Path(os.environ["UNLEARNING_DATA"]) / "tokenizers" / "olmo-0724")
    forget, retain = (encode_rows(rows, tokenizer, config.prompt) for rows in (corpus.forget, corpus.retain))
    assert sum(len(row.input_ids) for row in (*forget, *retain)) == ALL_TOKENS
    assert sum(map(supervised_tokens, retain)) == RETAIN_ANSWERS


if __name__ == "__main__":
    for line in (sizes, choices):
        print("\n".join(line(model, scope) for model in ARCHITECTURES for scope in SCOPES))
