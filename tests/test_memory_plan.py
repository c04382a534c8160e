"""Tests of docs/memory.md: parameters are counted on the real architectures without weights, bytes are calculated.

    python -m tests.test_memory_plan

prints the tables of the page.
"""

import os
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn
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
from unlearning.models.skeleton import without_weights
from unlearning.plan.activations import Activations, count_activations
from unlearning.plan.counts import Counts, counts_of
from unlearning.plan.memory import GIB, Layout, activation_bytes, training_memory
from unlearning.scopes.scope import Scope

PAGE = Path(__file__).parent.parent / "docs" / "memory.md"
VOCABULARY, TOKENS = 50304, 2048
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
DAILY = (("OLMo-1B", "lora"),)
"""Lines of the tables that are made on every day; the others take seconds each."""
MIXED = Layout("bf16-mixed")
WAYS = {
    "mixed": replace(MIXED, gradient_checkpointing=True),
    "true": Layout("bf16-true"),
    "4 bits": replace(MIXED, in_4_bits=True, gradient_checkpointing=True),
    "fsdp": replace(MIXED, sharded_over=8),
}


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


@cache
def scoped(model: str, scope: str) -> nn.Module:
    """Return a model under a scope, without its weights."""
    with without_weights():
        whole = architecture(ARCHITECTURES[model])
    return scope_of(scope).apply(whole, None)


@cache
def plan_of(model: str, scope: str) -> tuple[Counts, Activations]:
    """Return the counts of a model under a scope, and what a pack of TOKENS tokens keeps."""
    found = count_activations(scoped(model, scope), TOKENS, mixed=True)
    assert found is not None
    return counts_of(scoped(model, scope)), found


def held(model: str, scope: str, way: str) -> float:
    """Return the bytes that a way of training holds, without activations and logits."""
    return training_memory(counts_of(scoped(model, scope)), WAYS[way], None, 0, 0).total


def needed(model: str, scope: str, way: str) -> float:
    """Return the GiB on a device with one recomputed pack, 1.5 for logits and 1 for CUDA."""
    counts, activations = plan_of(model, scope)
    recomputed = activation_bytes(counts, replace(MIXED, gradient_checkpointing=True), activations, 1)
    return (held(model, scope, way) + recomputed) / GIB + 2.5


def sizes(model: str, scope: str) -> str:
    """Return a line of the page's first table."""
    counts, activations = plan_of(model, scope)
    ways = ("4 bits", None, None) if scope == "qlora" else ("mixed", "true", "fsdp")
    numbers = [None if way is None else held(model, scope, way) for way in ways]
    for checkpointing in (False, True):
        numbers.append(activation_bytes(counts, replace(MIXED, gradient_checkpointing=checkpointing), activations, 1))
    shown = " | ".join("-" if size is None else f"{size / GIB:.1f}" for size in numbers)
    return f"| {model} | `{scope}` | {counts.trained:,} | {shown} |"


def choices(model: str, scope: str) -> str:
    """Return a line of the page's second table: the first way that fits each machine, exact before rounded ways."""
    found = []
    for devices, card in MACHINES:
        ways = ["4 bits"] if scope == "qlora" else ["mixed", *(["fsdp"] if devices > 1 else []), "true"]
        # With ddp each device holds what it exchanges, its gradients in float32, once more.
        more = 4 * counts_of(scoped(model, scope)).trained / GIB if devices > 1 else 0.0
        fits = [way for way in ways if needed(model, scope, way) + (0 if way == "fsdp" else more) <= card]
        found.append(f"{fits[0]}, {needed(model, scope, fits[0]):.0f}" if fits else "no")
    return f"| {model} | `{scope}` | {' | '.join(found)} |"


@pytest.mark.parametrize(
    ("model", "scope"),
    [
        pytest.param(model, scope, marks=() if (model, scope) in DAILY else pytest.mark.exhaustive)
        for model in ARCHITECTURES
        for scope in SCOPES
    ],
)
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
    small, large = (counts_of(scoped(model, "all")) for model in ARCHITECTURES)
    assert small.total == small.trained == 1_279_787_008
    assert large.total == large.trained == 6_888_095_744 == 2 * 50304 * 4096 + 32 * 202_375_168
    assert counts_of(scoped("OLMo-1B", "first_6_mlp")).trained == 301_989_888 == 6 * 50_331_648
    assert counts_of(scoped("OLMo-7B", "first_6_mlp")).trained == 811_597_824 == 6 * 135_266_304
    assert counts_of(scoped("OLMo-7B", "lora")).trained == 23_855_104 == 32 * 745_472
    assert counts_of(scoped("OLMo-7B", "last_8")).trained == 1_619_001_344 == 8 * 202_375_168
    assert counts_of(scoped("OLMo-7B", "last_8")).moving == 8


def saved_bytes(model: PreTrainedModel, mixed: bool, packs: int) -> int:
    """Return the bytes that torch keeps for the backward pass of a real decoder, without the weights."""
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
        output = anatomy.decoder(model)(input_ids=ids, position_ids=positions, use_cache=False)
        found = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
    del output
    return found


@pytest.mark.parametrize("mixed", [False, True], ids=["bf16-true", "bf16-mixed"])
@pytest.mark.parametrize(("inner", "clipped"), [(256, True), (172, False)], ids=["as 1B", "as 7B"])
def test_activations_are_those_of_a_real_pass(inner: int, clipped: bool, mixed: bool) -> None:
    """What is counted without values is what autograd saves of a real model."""
    shape = {"vocab_size": 96, "eos_token_id": 1, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    settings = {**shape, "intermediate_size": inner, "clip_qkv": 8.0 if clipped else None}
    dtype = torch.float32 if mixed else torch.bfloat16
    real = architecture(settings).to(dtype)
    with without_weights():
        empty = architecture(settings).to(dtype)
    found = count_activations(empty, 128, mixed)
    assert found is not None
    one, two = (saved_bytes(real, mixed, packs) for packs in (1, 2))
    assert (found.pack_bytes, found.copies_bytes) == (two - one, 2 * one - two)


@pytest.mark.parametrize(("inner", "clipped"), [(256, True), (172, False)], ids=["as 1B", "as 7B"])
def test_activations_by_hand(inner: int, clipped: bool) -> None:
    """One more layer of width w and inner width i keeps, for each token of a pack of T in bfloat16:

    8 w: the inputs of both norms in float32; 6 w: the inputs of the products of q, k, v, of o and of gate and up; 6 w:
    q, k and v as attention takes them; 8 i: gate, its activation, up, and their product; 6 w where q, k and v are
    clipped; 2 T: its row of the mask; 16 and 4 a head: statistics of norms and attention in float32.
    """
    width, heads, tokens = 64, 4, 128
    shape = {"vocab_size": 96, "eos_token_id": 1, "hidden_size": width, "num_attention_heads": heads}
    kept = []
    for depth in (1, 2):
        settings = {**shape, "num_hidden_layers": depth, "intermediate_size": inner}
        with without_weights():
            model = architecture({**settings, "clip_qkv": 8.0 if clipped else None}).to(torch.bfloat16)
        found = count_activations(model, tokens, mixed=False)
        assert found is not None
        kept.append(found.pack_bytes)
    by_hand = (20 + (6 if clipped else 0)) * width + 8 * inner + 2 * tokens + 16 + 4 * heads
    assert kept[1] - kept[0] == tokens * by_hand


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


@pytest.mark.exhaustive
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
