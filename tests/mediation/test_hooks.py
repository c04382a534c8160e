"""Each context manager is tried on modules whose outputs can be computed by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.mediation.builders import deep_model, hooks_of
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.mediation.hooks import edited_outputs, joining_rows, rows_for_one_module, skipped_before
from unlearning.models import anatomy


class Add(nn.Module):
    """A layer that adds a number and keeps its other arguments."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number
        self.seen: list[Any] = []

    def forward(self, hidden_states: Tensor, *rest: Any, **named: Any) -> Tensor:
        self.seen.append((rest, named))
        return hidden_states + self.number


class WithWeights(nn.Module):
    """An attention that returns its weights too."""

    def forward(self, hidden: Tensor) -> tuple[Tensor, str, None]:
        return hidden + 1, "weights", None


def rows(*values: float, tokens: int = 2, width: int = 1) -> Tensor:
    """Return hidden states (rows, T, width) with one number in each row."""
    return torch.tensor(values)[:, None, None].expand(-1, tokens, width).clone()


def put(row: int, value: float) -> Callable[[Tensor], Tensor]:
    """Return an edit that sets one row to a value."""

    def edit(hidden: Tensor) -> Tensor:
        changed = hidden.clone()
        changed[row] = value
        return changed

    return edit


def test_an_edit_takes_the_place_of_the_output() -> None:
    module = Add(1.0)
    given = rows(1.0, 2.0)
    with edited_outputs({module: put(0, 9.0)}, 2):
        assert torch.equal(module(given), rows(9.0, 3.0))
    assert torch.equal(module(given), rows(2.0, 3.0))


def test_the_rest_of_a_tuple_stays() -> None:
    with edited_outputs({(module := WithWeights()): put(1, 9.0)}, 2):
        hidden, *rest = module(rows(1.0, 2.0))
    assert torch.equal(hidden, rows(2.0, 9.0))
    assert rest == ["weights", None]


def test_rows_laid_end_to_end_are_edited_as_rows() -> None:
    """OPT's MLP has this layout."""
    seen: list[tuple[int, ...]] = []

    def edit(hidden: Tensor) -> Tensor:
        seen.append(tuple(hidden.shape))
        return put(1, 9.0)(hidden)

    with edited_outputs({(module := Add(1.0)): edit}, 3):
        found = module(rows(1.0, 2.0, tokens=3, width=4).flatten(0, 1))
    assert seen == [(2, 3, 4)]
    assert torch.equal(found, rows(2.0, 9.0, tokens=3, width=4).flatten(0, 1))


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 2), (1, 2, 3, 4), (4,)])
def test_an_unknown_layout_is_refused(shape: tuple[int, ...]) -> None:
    """An output of four lines cannot be rows of seven tokens."""
    module = Add(1.0)
    with (
        edited_outputs({module: lambda hidden: hidden}, 7),
        pytest.raises(InputError, match=r"^tracing: a part's output is of shape \([\d, ]+\), not \(rows, 7, width\)$"),
    ):
        module(torch.zeros(shape))
    assert hooks_of(module) == 0


@pytest.mark.parametrize("family", ["gpt2", "opt", "mixtral", "llama"])
def test_a_hook_that_changes_nothing_changes_nothing(family: str) -> None:
    model = deep_model(family, 3)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    with torch.no_grad():
        plain = model(ids).logits
        modules = [anatomy.part(layer, kind) for layer in anatomy.layers(model) for kind in ModuleKind]
        with edited_outputs(dict.fromkeys(modules, lambda hidden: hidden), 4):
            assert torch.equal(model(ids).logits, plain)


def test_hooks_go_even_if_one_could_not_be_set() -> None:
    module = Add(1.0)
    with pytest.raises(AttributeError), edited_outputs({module: torch.clone, "no module": torch.clone}, 2):  # type: ignore[dict-item]
        pytest.fail("unreachable")
    assert hooks_of(module) == 0


# ---------------------------------------------------------------- rows that join


def run(modules: list[Add], hidden: Tensor, *rest: Any, **named: Any) -> Tensor:
    """Return the output of all modules one after another, each with the same further arguments."""
    for module in modules:
        hidden = module(hidden, *rest, **named)
    return hidden


def test_rows_join_as_copies_and_go_on_from_there() -> None:
    """Row 2 is copied from row 1 before the second module, and row 3 from row 2 before the third."""
    modules = [Add(1.0), Add(10.0), Add(100.0)]
    joining = {1: torch.tensor([1]), 2: torch.tensor([2])}
    with joining_rows(modules, joining, {1: put(2, 50.0), 2: put(3, 0.0)}, 2):
        found = run(modules, rows(1.0, 2.0))
    assert torch.equal(found, rows(112.0, 113.0, 160.0, 100.0))
    assert sum(map(hooks_of, modules)) == 0


def test_what_is_given_row_by_row_grows_with_the_rows() -> None:
    """A table of two lines is not copied, since its lines are positions."""
    modules = [Add(0.0), Add(0.0), Add(0.0)]
    mask, table, position = rows(5.0, 6.0), rows(7.0), torch.tensor([[8], [9]])
    joining = {0: torch.tensor([1]), 2: torch.tensor([2, 0])}
    with joining_rows(modules, joining, {}, 2):
        run(modules, rows(1.0, 2.0), (mask, table), mask=mask, nested={"mask": (mask, None)}, position=position, n=2)
    for module, values in zip(modules, ([5, 6, 6], [5, 6, 6], [5, 6, 6, 6, 5]), strict=True):
        (((by_row, shared),), named) = module.seen[0]
        longer = rows(*map(float, values))
        assert torch.equal(by_row, longer)
        assert torch.equal(named["mask"], longer)
        assert torch.equal(named["nested"]["mask"][0], longer)
        assert named["nested"]["mask"][1] is None
        assert shared is table
        assert named["position"] is position
        assert named["n"] == 2


def test_hidden_states_by_name_join_too() -> None:
    modules = [Add(1.0), Add(10.0)]
    with joining_rows(modules, {1: torch.tensor([0, 0])}, {1: put(2, 5.0)}, 1):
        found = modules[1](hidden_states=modules[0](hidden_states=rows(1.0)))
    assert torch.equal(found, rows(12.0, 12.0, 15.0))


def test_a_batch_of_one_row_keeps_a_mask_for_all() -> None:
    """The mask is broadcast, so that no copy is needed."""
    modules = [Add(0.0), Add(0.0)]
    mask = rows(5.0)
    with joining_rows(modules, {1: torch.tensor([0, 0])}, {}, 1):
        assert len(run(modules, rows(1.0), mask)) == 3
    assert modules[1].seen[0][0][0] is mask


def test_copies_pass_through_one_module_alone() -> None:
    modules = [Add(1.0), Add(10.0), Add(100.0)]
    leaving: dict[int, list[Tensor]] = {0: [], 1: []}
    mask = rows(5.0, 6.0)
    with rows_for_one_module(modules, {0: torch.tensor([1]), 1: torch.tensor([0, 1, 0])}, leaving, 2):
        found = run(modules, rows(1.0, 2.0), mask)
    assert torch.equal(found, rows(112.0, 113.0))
    assert [torch.equal(*pair) for pair in ((leaving[0][0], rows(3.0)), (leaving[1][0], rows(12.0, 13.0, 12.0)))]
    assert torch.equal(leaving[0][0], rows(3.0))
    assert torch.equal(leaving[1][0], rows(12.0, 13.0, 12.0))
    assert [len(items) for items in leaving.values()] == [1, 1]
    assert torch.equal(modules[0].seen[0][0][0], rows(5.0, 6.0, 6.0))
    assert torch.equal(modules[1].seen[0][0][0], rows(5.0, 6.0, 5.0, 6.0, 5.0))
    assert modules[2].seen[0][0][0].tolist() == mask.tolist()
    assert sum(map(hooks_of, modules)) == 0


# ---------------------------------------------------------------- less to compute


@pytest.mark.parametrize("flat", [False, True], ids=["rows", "end to end"])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_tokens_that_are_not_needed_are_skipped(first: int, flat: bool) -> None:
    module = nn.Linear(3, 2)
    given = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    wanted = module(given)
    wanted[:, :first] = 0
    seen: list[int] = []
    counting = module.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[:-1].numel()))
    with skipped_before(module, first, 4):
        found = module(given.flatten(0, 1) if flat else given)
    counting.remove()
    assert torch.allclose(found.view(2, 4, 2), wanted)
    assert found.dim() == (2 if flat else 3)
    assert seen == [2 * (4 - first)]
    assert hooks_of(module) == 0
