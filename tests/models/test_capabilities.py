"""What is said of an architecture is what its models do, and an architecture that is not on the list is tested."""

import pytest
import torch
from transformers import PreTrainedModel

from tests.families import EVERY_FAMILY, EVERY_STATEFUL
from tests.tiny_models import ALL_FAMILIES, STATEFUL, tiny_model
from unlearning.errors import InputError
from unlearning.models import capabilities as room
from unlearning.models.capabilities import LEAKING, TESTED, capabilities
from unlearning.models.row_self_test import self_test


def unheard(family: str) -> PreTrainedModel:
    """Return a model of a family whose name is on no list."""
    model = tiny_model(family)
    model.config.model_type = "unheard"
    return model


def test_the_list_is_what_is_tested() -> None:
    assert set(TESTED) == {*ALL_FAMILIES, *STATEFUL}
    assert LEAKING < TESTED


@pytest.mark.parametrize("family", [*EVERY_FAMILY, *EVERY_STATEFUL])
def test_what_is_said_of_a_family_is_what_it_does(family: str) -> None:
    """Rows of a batch never mix. Rows of a pack mix exactly where the list says so, and by far more than rounding."""
    model = tiny_model(family)
    said, measured = capabilities(model), self_test(model, keeps_state=False)
    assert said.self_test is None
    assert said.keeps_state is (family in STATEFUL)
    assert measured.batched is not None
    assert measured.batched < 2e-5
    assert measured.packed is not None
    assert said.packs is (measured.packed < 2e-5)
    assert said.packs is (measured.packed < 0.1)
    assert said.branches is measured.within(measured.branched)


def test_ordinary_families_need_no_line() -> None:
    assert capabilities(tiny_model("olmo")).line() is None
    assert capabilities(tiny_model("opt")).line() == (
        "model_type=opt: rows of one pack are not kept apart, so each row has a pack of its own, and caches are "
        "branched"
    )
    assert capabilities(tiny_model("mamba2")).line() == (
        "model_type=mamba2: its layers keep a state, so each row has a pack of its own, and prompts are never cut or "
        "branched"
    )


@pytest.mark.parametrize(("family", "packs"), [("llama", True), ("opt", False)])
def test_an_unheard_family_is_tested(family: str, packs: bool) -> None:
    found = capabilities(unheard(family))
    assert (found.packs, found.branches, found.keeps_state) == (packs, True, False)
    assert found.self_test is not None
    line = found.line()
    assert line is not None
    assert line.startswith("model_type=unheard: it is not on the tested list; logits of rows in a batch ")
    assert line.endswith("rows share packs, and caches are branched" if packs else "own, and caches are branched")


@pytest.mark.parametrize(
    ("family", "changes"),
    [("lfm2", {"layer_types": ["conv", "full_attention"]}), ("rwkv", {"attention_hidden_size": 32})],
)
def test_an_unheard_state_is_never_packed(family: str, changes: dict[str, object]) -> None:
    """A convolution reads only a few tokens of the row before, which a tolerance might let through."""
    eager = {"attn_implementation": "eager"} if family == "rwkv" else {}
    found = capabilities(tiny_model(family, **changes, **eager))
    assert (found.keeps_state, found.packs, found.branches) == (True, False, False)
    assert found.self_test is not None
    assert found.self_test.packed is None


def test_a_failing_cache_is_not_branched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.DynamicCache.batch_select_indices", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        capabilities(unheard("llama"))
    monkeypatch.setattr("transformers.DynamicCache.batch_select_indices", lambda cache, _: cache.missing)
    found = capabilities(unheard("llama"))
    assert (found.packs, found.branches) == (True, False)


def test_rows_that_mix_are_refused() -> None:
    model = unheard("llama")
    model.model.layers[0].mlp.register_forward_hook(lambda _m, _i, output: output - output.mean(0, keepdim=True))
    with pytest.raises(InputError, match=r"^model_type=unheard: cannot be used, logits of rows in a batch [01]"):
        capabilities(model)
    with pytest.raises(InputError, match="model_type=bloom: not supported"):
        capabilities(tiny_model("bloom"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_alone_changes_nothing(dtype: torch.dtype) -> None:
    """In half precision packs are still told from leaks; the weights have a quarter of the tiny models' scale."""
    for family, packs in (("llama", True), ("opt", False)):
        model = unheard(family)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.25 if parameter.dim() > 1 else 1)
        assert capabilities(model.to(dtype)).packs is packs


def test_a_model_is_tested_once_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = unheard("llama").train()
    first = capabilities(model)
    assert model.training
    monkeypatch.setattr(room, "self_test", lambda *_: pytest.fail("tested again"))
    assert capabilities(model) is first
