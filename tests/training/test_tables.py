"""Tables of outputs before unlearning and of frozen layers' outputs; and that there is no second model."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import NO_DROPOUT, tiny_model
from tests.training.rows import FORGET, RETAIN, lengths, training_rows
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.objectives.base import Objective
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.npo import NPO
from unlearning.objectives.rmu import RMU
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import AllScope, LayersScope
from unlearning.scopes.scope import Scope
from unlearning.training import fit as fit_module
from unlearning.training.build_tables import build_tables
from unlearning.training.fit import fit
from unlearning.training.row_model import RowModel, first_trained_layer, plain_model
from unlearning.training.row_tables import RowTables
from unlearning.training.step_data import StepLayout
from unlearning.training.step_layout import layout_of
from unlearning.training.table_sizes import rows_worth_keeping
from unlearning.training.task import TrainingTask

PLAN = MixedSchedule(epochs=2, batch_rows=6).plan(lengths(FORGET), lengths(RETAIN), None, 0)
LAYOUT = StepLayout(pack_tokens=32, packs_per_forward=2, pad=0, retain_first=False, uses_forget=True, uses_retain=True)
KL = {"retain_weight": 0.0, "divergence_weight": 1.0}


def plain_logits(model: nn.Module, row: int) -> Tensor:
    """Return the logits of a retain row by itself, at its supervised tokens."""
    ids, start = RETAIN[row].input_ids, RETAIN[row].supervised_from
    logits: Tensor = model(input_ids=torch.tensor([ids])).logits[0, start - 1 : -1]
    return logits


def tables_of(scope: Scope, objective: Objective, limit_gib: float = 1.0) -> tuple[nn.Module, RowModel, RowTables]:
    """Return a scoped GPT-2, alone and as a row model, and its tables."""
    model = scope.apply(tiny_model("gpt2", num_hidden_layers=3, **NO_DROPOUT), None)
    rows = RowModel(plain_model(model), objective.layer)
    return model, rows, build_tables(rows, objective, PLAN, training_rows(), LAYOUT, limit_gib, lambda _: None)


@pytest.mark.parametrize("scope", [LayersScope("1", [ModuleKind.mlp]), AllScope()], ids=["frozen head", "all"])
def test_reference_is_the_model_at_the_start(scope: Scope) -> None:
    """The table holds a row's logits, or hidden states where the head is frozen, which are projected later."""
    model, rows, tables = tables_of(scope, GradDiff(**KL))
    expected = plain_logits(model, 3).detach()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1)
    reference = tables.reference([training_rows().number(1, 3)], torch.device("cpu")).at(slice(None), rows)
    assert reference.outputs is not None
    torch.testing.assert_close(reference.outputs, expected, atol=1e-5, rtol=1e-5)
    assert tables.projected is isinstance(scope, LayersScope)
    assert all(number >= len(FORGET) for number in tables.states), "forget rows are not compared with anything"


def test_the_likeliest_tokens_alone() -> None:
    """With reference_top_k=5, the table holds ids and log-probabilities of five tokens."""
    model, rows, tables = tables_of(AllScope(), GradDiff(**KL, reference_top_k=5))
    reference = tables.reference([training_rows().number(1, 2)], torch.device("cpu")).at(slice(None), rows)
    assert reference.kept is not None
    top = plain_logits(model, 2).log_softmax(-1).topk(5, dim=-1)
    assert torch.equal(reference.kept[0], top.indices)
    torch.testing.assert_close(reference.kept[1], top.values, atol=1e-5, rtol=1e-5)


def test_a_table_that_is_too_large_is_refused() -> None:
    """The error is one line with the size, before anything is computed."""
    with pytest.raises(
        InputError, match=r"trainer.reference_gib=1e-06: .* takes more; set trainer.reference_gib=0.01$"
    ):
        tables_of(AllScope(), GradDiff(**KL), 1e-6)
    tables_of(AllScope(), GradDiff(**KL), 0.01)


def test_as_many_tokens_are_advised_as_there_is_room_for() -> None:
    """What the message says can be done, and one token more cannot."""
    with pytest.raises(
        InputError, match=r"set trainer.reference_gib=0.01 or objective.reference_top_k=\d+$"
    ) as refused:
        tables_of(AllScope(), GradDiff(**KL), 1e-5)
    room = int(str(refused.value).rpartition("=")[2])
    tables_of(AllScope(), GradDiff(**KL, reference_top_k=room), 1e-5)
    with pytest.raises(InputError):
        tables_of(AllScope(), GradDiff(**KL, reference_top_k=room + 1), 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("scope", "objective"),
    [
        (LayersScope("1"), GradDiff(**KL)),
        (AllScope(), GradDiff(**KL)),
        (AllScope(), GradDiff(**KL, reference_top_k=5)),
        (AllScope(), NPO()),
        (AllScope(), RMU(layer=1, alpha=1.0)),
    ],
    ids=["states", "logits", "top 5", "nats", "a layer"],
)
def test_its_size_is_what_it_holds(scope: Scope, objective: Objective, dtype: torch.dtype) -> None:
    """The table may take exactly its size, and not one byte less. States have the model's type, logits float32."""
    model = scope.apply(tiny_model("gpt2", **NO_DROPOUT), None).to(dtype)
    rows = RowModel(plain_model(model), objective.layer)
    build = partial(build_tables, rows, objective, PLAN, training_rows(), LAYOUT)
    tables = build(1.0, lambda _: None)
    held = [
        *tables.states.values(),
        *tables.nats.values(),
        *(tensor for pair in tables.kept.values() for tensor in pair),
    ]
    size = sum(tensor.nbytes for tensor in held)
    said: list[str] = []
    build(size / 2**30, said.append)
    numbers = {*tables.states, *tables.nats, *tables.kept}
    assert said == [f"  reference of {len(numbers)} rows: {size / 2**20:.1f} MiB, no second model"]
    with pytest.raises(InputError, match=r"^trainer\.reference_gib="):
        build((size - 1) / 2**30, said.append)


@pytest.mark.parametrize(
    ("dtype", "precision"), [(torch.float32, "auto"), (torch.float64, "auto"), (torch.bfloat16, "bf16-true")]
)
def test_prefixes_take_what_is_allowed(dtype: torch.dtype, precision: str) -> None:
    """All 23 rows are kept where their bytes are allowed, all but the last with one byte less."""
    model = LayersScope("-1:", [ModuleKind.layer]).apply(tiny_model("olmo"), None).to(dtype)

    def layout(size: int) -> StepLayout:
        config = TrainerConfig(accelerator="cpu", precision=precision, prefix_cache_gib=size / 2**30)
        return layout_of(
            plain_model(model), GradDiff(), training_rows(), 0, config, PLAN, shares_packs=True, sets_apart=False
        )

    rows = RowModel(plain_model(model), None)
    tables = build_tables(rows, GradDiff(), PLAN, training_rows(), layout(2**30), 1.0, lambda _: None)
    size = sum(tensor.nbytes for tensor in tables.prefix.values())
    assert layout(size).prefix_rows == set(range(23))
    assert layout(size - 1).prefix_rows == set(range(22))


@pytest.mark.parametrize(
    ("scope", "first"),
    [
        (AllScope(), 0),
        (LayersScope("1-2"), 1),
        (LayersScope("-1:", [ModuleKind.layer]), 2),
        (LayersScope("2", embeddings=True, head=True), 0),
        (LoraScope(layers="1:", targets=["q"]), 1),
    ],
    ids=["all", "layers 1-2", "last layer", "embeddings", "lora"],
)
def test_first_trained_layer(scope: Scope, first: int) -> None:
    """Nothing before the first trained layer moves."""
    model = scope.apply(tiny_model("gpt2", num_hidden_layers=3, **NO_DROPOUT), None)
    assert first_trained_layer(plain_model(model)) == first


def test_rows_worth_keeping() -> None:
    """Rows that are used twice or more are kept, in order, as many as fit: 2 bytes a token."""
    rows = [len(row.input_ids) for row in FORGET]
    once = [PlanStep(0, 0, 1, 0, (0, 1, 2), ())]
    twice = [PlanStep(0, 0, 2, 0, (0, 2, 3), ()), PlanStep(0, 1, 2, 1, (3, 2, 0), ())]
    assert rows_worth_keeping(once, training_rows(), LAYOUT, 2, 1e9) == frozenset()
    assert rows_worth_keeping(twice, training_rows(), LAYOUT, 2, 1e9) == {0, 2, 3}
    assert rows_worth_keeping(twice, training_rows(), LAYOUT, 2, 2 * (rows[0] + rows[2])) == {0, 2}


@pytest.mark.grid
@pytest.mark.parametrize(("family", "tolerance"), [("gpt2", 1e-9), ("olmo", 1e-9), ("gemma3_text", 1e-7)])
@pytest.mark.parametrize("limit_gib", [1.0, 2400 / 2**30], ids=["all rows", "some rows"])
def test_prefix_cache_changes_nothing(tmp_path: Path, family: str, tolerance: float, limit_gib: float) -> None:
    """The weights are the same whether frozen layers run once or at every step, in double precision.

    Rows that are kept are packed apart, so sums are rounded in another order. Gemma's norms and their gradients are in
    float32 whatever the weights are in: up to 2e-8 over all limits, and 2e-13 with norms in double. In GPT-2 the key's
    bias has no gradient but rounding, which Adam magnifies: up to 1e-10.
    """
    weights, calls = [], []
    for gib in (0.0, limit_gib):
        settings = {**(NO_DROPOUT if family == "gpt2" else {}), "num_hidden_layers": 4}
        model = LayersScope("-2:", [ModuleKind.layer]).apply(tiny_model(family, **settings).double(), None)
        calls.append(counted(anatomy.layers(plain_model(model))[0]))
        run(model, GradDiff(), tmp_path / str(gib), prefix_cache_gib=gib)
        weights.append(list(model.parameters()))
    assert len(calls[0]) != len(calls[1]), "nothing was kept"
    for ours, theirs in zip(*weights, strict=True):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)


def test_prefix_cache_skips_the_frozen_layers(tmp_path: Path) -> None:
    """The first layer runs once a row before the first step, and never again."""
    model = LayersScope("-1:", [ModuleKind.layer]).apply(tiny_model("olmo", num_hidden_layers=3), None)
    calls = counted(plain_model(model).get_decoder().layers[0])
    run(model, GradDiff(), tmp_path / "cached")
    cached = len(calls)
    run(model, GradDiff(), tmp_path / "uncached", prefix_cache_gib=0.0)
    assert 0 < cached < len(PLAN) < len(calls) - cached


def test_dropout_switches_the_prefix_cache_off(tmp_path: Path) -> None:
    """Frozen layers with dropout have another output each time."""
    model = LayersScope("-1:", [ModuleKind.layer]).apply(tiny_model("gpt2", resid_pdrop=0.1), None)
    calls = counted(plain_model(model).get_decoder().h[0])
    run(model, GradDiff(), tmp_path)
    assert len(calls) >= len(PLAN)


@pytest.fixture
def new_objects() -> Callable[[], list[object]]:
    """Return a function that lists the garbage collector's objects made since; earlier ones are set aside for good."""
    gc.collect()
    gc.freeze()
    return gc.get_objects


@pytest.fixture
def scoped(request: pytest.FixtureRequest) -> nn.Module:
    """Return a model whose weights have shapes that nothing else has."""
    scope: Scope = request.param
    return scope.apply(tiny_model("olmo", hidden_size=64, intermediate_size=256, num_hidden_layers=4), None)


@pytest.mark.parametrize("scoped", [AllScope(), LoraScope(rank=2)], ids=["all", "lora"], indirect=True)
def test_there_is_no_second_model(
    scoped: nn.Module, new_objects: Callable[[], list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While KL is trained, the floats alive are the weights, their gradients and moments, and small things."""
    # An adapter's matrices are as small as a row's hidden states.
    shapes = {weight.shape for weight in scoped.parameters() if min(weight.shape) >= 64}
    trained = [weight for weight in scoped.parameters() if weight.requires_grad]
    copies: list[int] = []

    def count(*_: object) -> None:
        found = new_objects()
        optimizers = [item for item in found if isinstance(item, torch.optim.AdamW)]
        moments = [value for item in optimizers for state in item.state.values() for value in state.values()]
        known = {id(value) for value in (*moments, *(weight.grad for weight in trained))}
        alive = [item for item in found if isinstance(item, Tensor) and item.shape in shapes]
        copies.append(len([item for item in alive if id(item) not in known and item.dtype.is_floating_point]))

    monkeypatch.setattr(fit_module.CurveWriter, "on_train_batch_end", count)
    run(scoped, GradDiff(**KL), tmp_path)
    assert len(copies) == len(PLAN)
    assert max(copies) == 0


def run(model: nn.Module, objective: Objective, folder: Path, prefix_cache_gib: float = 4.0) -> None:
    """Train for a few steps in this folder."""
    task = TrainingTask(model, objective, PLAN, training_rows(), 0, OptimizerConfig(lr=1e-2), 0, "tables")
    config = TrainerConfig(accelerator="cpu", pack_tokens=32, packs_per_forward=2, prefix_cache_gib=prefix_cache_gib)
    fit(task, config, folder, [])


def counted(module: nn.Module) -> list[None]:
    """Return a list that grows by one at each call of the module."""
    calls: list[None] = []
    hook: Callable[..., None] = lambda *_: calls.append(None)  # noqa: E731
    module.register_forward_hook(hook)
    return calls
