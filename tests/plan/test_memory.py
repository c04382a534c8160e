"""Weights, memory and work of a tiny model, worked out by hand; the machine; and what does not fit."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from unlearning.config.scope import ModuleKind
from unlearning.data.encoding import EncodedRow
from unlearning.models.skeleton import without_weights
from unlearning.objectives.grad_diff import GradDiff
from unlearning.plan.activations import Activations
from unlearning.plan.counts import Counts, counts_of
from unlearning.plan.machine import cpu_memory_bytes, leaves_gaps
from unlearning.plan.memory import Layout, activation_bytes, scoring_memory, training_memory
from unlearning.plan.run_plan import largest_pass
from unlearning.plan.work import forward_flops, training_work
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import LayersScope
from unlearning.training.planned_training import PlannedTraining
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.step_dataset import StepDataset

SHAPE = {"vocab_size": 10, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2}
LAYER = 4 * 8 * 8 + 3 * 8 * 12 + 2 * 8
"""q, k, v, o; gate, up, down; two norms: 560."""
TOTAL = 3 * LAYER + 2 * 10 * 8 + 8
"""Layers; embeddings and head; final norm: 1,848."""


def model(weights: bool) -> LlamaForCausalLM:
    """Return the tiny Llama with or without weights."""
    config = LlamaConfig(**SHAPE, num_key_value_heads=2, bos_token_id=1, eos_token_id=2)
    if weights:
        return LlamaForCausalLM(config)
    with without_weights():
        return LlamaForCausalLM(config)


def last_layer(of: LlamaForCausalLM) -> nn.Module:
    """Return the model with all but its last layer frozen."""
    return LayersScope("2", [ModuleKind.layer]).apply(of, None)


def test_counts() -> None:
    """They are the same with and without weights, and those by hand."""
    counts = counts_of(last_layer(model(weights=False)))
    assert counts == counts_of(last_layer(model(weights=True)))
    assert counts == Counts(
        total=TOTAL,
        trained=LAYER,
        adapters=0,
        adapted_width=0,
        in_layers=3 * LAYER,
        layer=LAYER,
        moving_in_layers=LAYER,
        trained_in_layers=LAYER,
        depth=3,
        moving=1,
        width=8,
        heads_width=8,
        key_value_width=8,
        vocabulary=10,
        head_trained=False,
    )
    adapted = counts_of(LoraScope(rank=2, targets=["q"]).apply(model(weights=False), None))
    # Rank 2 on q, 8 to 8: 2 * (8 + 8) in each layer.
    assert (adapted.trained, adapted.adapters, adapted.total) == (96, 96, TOTAL + 96)
    # q has 8 outputs in each of 3 layers, up has 12.
    both = counts_of(LoraScope(rank=2, targets=["q", "up"]).apply(model(weights=False), None))
    assert (adapted.adapted_width, both.adapted_width) == (24, 60)


def test_memory() -> None:
    """Weights, gradients and moments take 4 bytes each, or 2; other parts as their formulas say."""
    counts = counts_of(last_layer(model(weights=False)))
    kept = Activations(pack_tokens=16, pack_bytes=1000, copies_bytes=70)
    plain = training_memory(counts, Layout(), kept, packs=2, logits_bytes=100.0)
    assert (plain.weights, plain.gradients, plain.moments) == (4 * TOTAL, 4 * LAYER, 8 * LAYER)
    assert (plain.copies, plain.activations, plain.logits) == (0, 2000, 300)
    assert plain.certain == 4 * TOTAL + 12 * LAYER
    assert plain.total == plain.certain + 2300
    pure = training_memory(counts, Layout("bf16-true"), kept, 0, 0)
    assert pure.total == 2 * TOTAL + 6 * LAYER
    mixed = training_memory(counts, Layout("bf16-mixed"), kept, 1, 0)
    assert (mixed.copies, mixed.activations) == (70, 1000)
    recomputed = Layout("bf16-mixed", gradient_checkpointing=True)
    again = training_memory(counts, recomputed, kept, 1, 0)
    # bfloat16 copies of the trained layer and of one more; the layer's input, 16 x 8 x 4 bytes, and its activations.
    assert (again.copies, again.activations) == (2 * (LAYER + LAYER), 16 * 8 * 4 + 1000)
    assert activation_bytes(counts, recomputed, None, 1) == 0
    sharded = training_memory(counts, Layout("bf16-mixed", sharded_over=2), kept, 1, 0)
    outside = TOTAL - 3 * LAYER
    assert sharded.certain == (4 * TOTAL + 12 * LAYER) / 2 + 4 * outside
    doubled = training_memory(counts, replace(Layout(), replicas=2), kept, 1, 0)
    assert doubled.copies == 4 * LAYER
    sharp = training_memory(counts, Layout(sharp=True), kept, 1, 0)
    # The weights from below, and the gradients of the retain rows.
    assert sharp.copies == 2 * 4 * LAYER
    # All weights, keys and values of 5 tokens in 3 layers, and three tensors as large as the logits.
    assert scoring_memory(counts, 4, slots=5, logits_bytes=10.0) == 4 * TOTAL + 2 * 4 * 8 * 3 * 5 + 30


def test_gaps() -> None:
    """An allocator that leaves gaps leaves two of each adapted output: 2 x 24 numbers for each of 2 x 16 tokens."""
    counts = counts_of(LoraScope(rank=2, targets=["q"]).apply(model(weights=False), None))
    kept = Activations(pack_tokens=16, pack_bytes=1000, copies_bytes=0)

    def gaps(layout: Layout) -> float:
        return training_memory(counts, layout, kept, packs=2, logits_bytes=0).gaps

    assert gaps(Layout(leaves_gaps=True)) == 4 * 2 * 24 * 32
    assert gaps(Layout("bf16-mixed", leaves_gaps=True)) == 2 * 2 * 24 * 32
    # The adapters are in all three layers, and one is recomputed at a time.
    assert gaps(Layout(leaves_gaps=True, gradient_checkpointing=True)) == 4 * 2 * 8 * 32
    assert gaps(Layout()) == 0
    without = counts_of(last_layer(model(weights=False)))
    assert training_memory(without, Layout(leaves_gaps=True), kept, 2, 0).gaps == 0


@pytest.mark.parametrize(
    ("library", "environment", "expected"),
    [
        (("glibc", "2.36"), {}, True),
        (("glibc", "2.4"), {}, True),
        (("glibc", "2.38"), {}, False),
        (("glibc", "2.40.1"), {}, False),
        (("glibc", "2.36"), {"MALLOC_MMAP_THRESHOLD_": "1048576"}, False),
        (("", ""), {}, False),
    ],
)
def test_which_allocators_leave_gaps(library: tuple[str, str], environment: dict[str, str], expected: bool) -> None:
    """glibc before 2.38 does, unless large tensors have pages of their own."""
    assert leaves_gaps(library, environment) is expected


@pytest.mark.parametrize("retain_first", [False, True])
def test_the_largest_pass(retain_first: bool) -> None:
    """Padding counts: three rows of five tokens do not share packs of eight. The shapes are those of the tensors."""
    row = [EncodedRow(tuple(range(1, length + 1)), 1) for length in range(6)]
    rows = TrainingRows((row[5], row[3]), (), (row[5], row[5], row[2]))
    steps = [PlanStep(0, 0, 2, 0, (0,), (0, 1)), PlanStep(0, 1, 2, 0, (1,), (2,))]
    layout = StepLayout(8, 4, 0, retain_first=retain_first, uses_forget=True, uses_retain=True)
    dataset = StepDataset(steps, rows, layout, start=0, rank=0, world=1)
    for index in range(2):
        (part,) = dataset.build(index).parts
        built = [tuple(batch.packs.input_ids.shape) for batch in (*part.retain_first, *part.rest)]
        assert list(dataset.pass_shapes(index)) == built
    assert list(dataset.pass_shapes(0)) == ([(2, 5), (1, 5)] if retain_first else [(3, 5)])
    planned = PlannedTraining(GradDiff(), rows, steps, compared=None)
    assert largest_pass(planned, layout, steps, devices=1) == ((2, 5) if retain_first else (3, 5))
    # No step: the longest row by itself. Of two devices, one takes the first and the third row.
    assert largest_pass(planned, layout, [], devices=1) == (1, 5)
    assert largest_pass(planned, layout, steps[:1], devices=2) == ((1, 5) if retain_first else (2, 5))


def test_work() -> None:
    """Two operations for a weight and a token; the backward pass goes through the last layer alone.

    Two rows of 4 and 6 tokens, 3 and 2 of them scored: layers 2 * 1680 * 10 = 33,600, attention 2 * 5 * 8 * 3 * 10 =
    2,400, head 2 * 10 * 8 * 5 = 800. Backward: the last layer's share of the first two, 12,000; its weights, 2 * 560 *
    10 = 11,200; the head, 800.
    """
    counts = counts_of(last_layer(model(weights=False)))
    assert forward_flops(counts, tokens=10, scored=5, length=5) == 33_600 + 2_400 + 800
    rows = TrainingRows((EncodedRow((1, 2, 3, 4), 1),), (), (EncodedRow((1, 2, 3, 4, 5, 6), 4),))
    layout = StepLayout(32, 1, 0, retain_first=False, uses_forget=True, uses_retain=True)
    step = PlanStep(0, 0, 1, 0, (0,), (0,))
    work = training_work(counts, [step], rows, layout, checkpointing=False)
    assert (work.items, work.tokens) == (1, 10)
    assert work.flops == pytest.approx(36_800 + 12_000 + 11_200 + 800)
    # Two frozen layers of the first row have been run already.
    less = training_work(counts, [step], rows, replace(layout, prefix_rows=frozenset((0,))), checkpointing=False)
    assert work.flops - less.flops == 2 * (2 * LAYER) * 4


def test_memory_of_a_cpu(tmp_path: Path) -> None:
    """It is that of the computer, or the least limit of the process's cgroups, of either version."""
    own = tmp_path / "own"
    whole = float(psutil.virtual_memory().total)
    assert cpu_memory_bytes(tmp_path, own) == whole
    own.write_text("0::/outer/inner\n")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "memory.max").write_text("max\n")
    assert cpu_memory_bytes(tmp_path, own) == whole
    (tmp_path / "outer" / "memory.max").write_text("4096\n")
    assert cpu_memory_bytes(tmp_path, own) == 4096
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1024")
    assert cpu_memory_bytes(tmp_path, own) == 1024
