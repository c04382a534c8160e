"""After a step exactly the named layers' modules have moved, and nothing else."""

import pytest

from tests.scopes.moved import DEPTH, moved
from tests.tiny_models import tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.scopes.layers import AllScope, LayersScope, parse_layers


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("3", [3]),
        ("0-2", [0, 1, 2]),
        ("0,2,4", [0, 2, 4]),
        ("5,0-1,1", [0, 1, 5]),
        ("-3:", [5, 6, 7]),
        (":2", [0, 1]),
        ("6:", [6, 7]),
        ("2:4", [2, 3]),
        ("6:10", [6, 7]),
        ("-9:", [0, 1, 2, 3, 4, 5, 6, 7]),
        (" 0 - 1 ", [0, 1]),
    ],
)
def test_parse_layers(text: str, layers: list[int]) -> None:
    """Every accepted form gives its layers."""
    assert parse_layers(text, 8) == layers


@pytest.mark.parametrize("text", ["", "x", "0-8", "8", "9:", "3-1", "1-2-3", "4:4", "0,,1", "1:2:3", "-1"])
def test_parse_layers_refuses(text: str) -> None:
    """Texts that are malformed, empty or outside the model are refused."""
    with pytest.raises(InputError, match=r"scope\.layers"):
        parse_layers(text, 8)


def test_mlp_of_two_layers() -> None:
    """Exactly the MLPs of two layers move."""
    expected = {f"model.layers.{b}.mlp.{n}_proj.weight" for b in (0, 1) for n in ("gate", "up", "down")}
    assert moved("olmo", LayersScope("0-1")) == expected


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox"])
def test_last_layers_whole(family: str) -> None:
    """In four families nothing outside the last two layers moves, and something inside does."""
    changed = moved(family, LayersScope("-2:", [ModuleKind.layer]))
    assert changed
    assert all(".2." in name or ".3." in name for name in changed)


def test_attention_only() -> None:
    """Exactly the attention of one layer moves."""
    changed = moved("llama", LayersScope("1", [ModuleKind.attention]))
    assert changed == {f"model.layers.1.self_attn.{n}_proj.weight" for n in "qkvo"}


def test_embeddings_and_head() -> None:
    """Both move with the last layer, as in AILS-NTUA's first notebook."""
    changed = moved("olmo", LayersScope("3", [ModuleKind.layer], embeddings=True, head=True))
    assert {"model.embed_tokens.weight", "lm_head.weight"} <= changed
    assert not any("layers.0" in name for name in changed)


def test_tied_embeddings_move_together_or_not_at_all() -> None:
    """One matrix cannot be frozen and trained at once."""
    with pytest.raises(InputError, match="ties"):
        moved("gpt2", LayersScope("3", [ModuleKind.layer], embeddings=True, head=False))


def test_complement_of_mlps() -> None:
    """The MLPs of layers 0-1 stay, and everything else moves."""
    model = tiny_model("olmo", num_hidden_layers=DEPTH)
    stay = {f"model.layers.{b}.mlp.{n}_proj.weight" for b in (0, 1) for n in ("gate", "up", "down")}
    everything = {name for name, _ in model.named_parameters()}
    assert moved("olmo", LayersScope("0-1", complement=True)) == everything - stay


def test_complement_of_embeddings_and_head() -> None:
    """Named embeddings and head stay, the final norm too."""
    scope = LayersScope("3", [ModuleKind.layer], embeddings=True, head=True, complement=True)
    changed = moved("llama", scope)
    assert {name.split(".")[2] for name in changed} == {"0", "1", "2"}
    assert all(name.startswith("model.layers.") for name in changed)


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox"])
def test_a_scope_and_its_complement_are_everything(family: str) -> None:
    """Together they are all parameters, and they have none in common."""
    names = {name for name, _ in tiny_model(family, num_hidden_layers=DEPTH, n_layer=DEPTH).named_parameters()}
    scoped, rest = (moved(family, LayersScope("1-2", [ModuleKind.attention], complement=c)) for c in (False, True))
    assert scoped | rest == names
    assert not scoped & rest


def test_complement_of_tied_embeddings_goes_for_both_or_neither() -> None:
    """With a complement, too, tied embeddings and head must be both named or neither."""
    with pytest.raises(InputError, match="ties"):
        moved("gpt2", LayersScope("3", head=True, complement=True))
    changed = moved("gpt2", LayersScope("3", embeddings=True, head=True, complement=True))
    assert "transformer.wte.weight" not in changed
    assert "transformer.wpe.weight" in changed


def test_complement_of_everything() -> None:
    """Nothing is left to train, which is refused."""
    with pytest.raises(InputError, match="no parameter is left"):
        moved("llama", LayersScope("all", [ModuleKind.layer], embeddings=True, head=True, complement=True))


def test_all() -> None:
    """All parameters move."""
    model = tiny_model("olmo", num_hidden_layers=DEPTH)
    assert moved("olmo", AllScope()) == {name for name, _ in model.named_parameters()}
