"""Tests that tracing finds facts in the only two layers that can hold them, and that the placebo does not.

The sandbox's retrained model never saw the forget set. Here the MLPs of two of its layers learn questions about six
persons of the forget set, and no other weight moves. experiments/planted_truth does the same at full size, with every
estimator.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tests.rotation import left_out
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.data import WorldConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, SelectionRule, TraceConfig, TraceMode
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus, Row
from unlearning.mediation.facts import facts_from_rows
from unlearning.mediation.states import Restoration
from unlearning.mediation.trace import TraceOutcome, trace
from unlearning.sandbox.world import generate
from unlearning.scopes.layers import LayersScope

PERSONS, STEPS = 6, 45
PLACEMENTS = {"low": (1, 2), "high": (4, 5)}
CONFIG = TraceConfig(facts=2 * PERSONS, kinds=[ModuleKind.mlp])
LARGEST_TWO = replace(CONFIG, corruption=Corruption.base_model, rule=SelectionRule.top_share, value=2 / 8)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(WorldConfig())


@pytest.fixture(scope="module")
def questions(corpus: Corpus) -> list[Row]:
    """Return two questions about each of six persons."""
    facts = facts_from_rows(corpus.forget)
    persons = sorted({fact.person for fact in facts})[:PERSONS]
    ids = {fact.id for fact in facts if fact.person in persons and fact.relation in ("birth_date", "home_address")}
    return [row for row in corpus.forget if row.id in ids]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(ASSETS / "retrained")


@pytest.fixture(scope="module")
def retrained() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(ASSETS / "retrained", dtype=torch.float32).eval()


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=left_out(name != "low"), id=name) for name in PLACEMENTS]
)
def planted(
    request: pytest.FixtureRequest, questions: list[Row], tokenizer: PreTrainedTokenizerBase
) -> tuple[tuple[int, ...], PreTrainedModel]:
    """Return the two layers, and a retrained model whose MLPs in these layers have learnt the questions."""
    layers = PLACEMENTS[request.param]
    model = AutoModelForCausalLM.from_pretrained(ASSETS / "retrained", dtype=torch.float32)
    LayersScope(",".join(map(str, layers))).apply(model, None)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3, weight_decay=0.0)
    encoded = encode_rows(questions, tokenizer, PromptConfig())
    length = max(len(row.input_ids) for row in encoded)
    ids = torch.tensor([[*row.input_ids, *[0] * (length - len(row.input_ids))] for row in encoded])
    labels = torch.full_like(ids, -100)
    for number, row in enumerate(encoded):
        labels[number, row.supervised_from : len(row.input_ids)] = ids[number, row.supervised_from : len(row.input_ids)]
    for _ in range(STEPS):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.2
    return layers, model.eval()


@pytest.fixture(scope="module")
def traced(
    planted: tuple[tuple[int, ...], PreTrainedModel],
    retrained: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: list[Row],
    corpus: Corpus,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[TraceConfig], TraceOutcome]:
    """Return a function that traces the questions in the model that learnt them, once for each configuration."""
    known: dict[str, TraceOutcome] = {}

    def made(config: TraceConfig) -> TraceOutcome:
        if repr(config) not in known:
            folder, fabric = tmp_path_factory.mktemp("trace"), Fabric(accelerator="cpu", devices=1)
            found = trace(
                planted[1], tokenizer, questions, corpus.retain, config, PromptConfig(), folder, fabric, retrained
            )
            assert found is not None
            known[repr(config)] = found
        return known[repr(config)]

    return made


def test_nothing_else_has_moved(planted: tuple[tuple[int, ...], PreTrainedModel], retrained: PreTrainedModel) -> None:
    layers, model = planted
    before = dict(retrained.named_parameters())
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if any(f"layers.{layer}.mlp." in name for layer in layers)}


@pytest.mark.by_default("low-base model-denoising")
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("estimator", ["base model", "weights"])
def test_the_layers_are_found(
    estimator: str,
    direction: Direction,
    planted: tuple[tuple[int, ...], PreTrainedModel],
    traced: Callable[[TraceConfig], TraceOutcome],
) -> None:
    """The exchange of weights chooses exactly these layers; of states they have the two largest effects."""
    config = replace(CONFIG, mode=TraceMode.weights) if estimator == "weights" else LARGEST_TWO
    found = traced(replace(config, direction=direction))
    assert found.selection.layers == planted[0]
    assert not found.result.counts.unknown


def test_the_placebo_does_not_find_them(
    planted: tuple[tuple[int, ...], PreTrainedModel], traced: Callable[[TraceConfig], TraceOutcome]
) -> None:
    """States of another person's question do not bring the answer back in the planted layers."""
    found = traced(LARGEST_TWO)
    effects = next(item for item in found.selection.effects if item.metric is found.selection.metric)
    own = effects.of(Restoration(ModuleKind.mlp))
    assert own.placebo is not None
    assert own.above_placebo is not None
    for layer in planted[0]:
        assert own.above_placebo.band_low[layer] > 0
        assert own.placebo.mean[layer] < own.effect.mean[layer] / 2
