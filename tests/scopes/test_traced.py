"""The scope of traced layers: exactly the chosen layers move."""

import pytest

from tests.scopes.moved import moved
from unlearning.errors import InputError
from unlearning.scopes.traced import TracedScope


def test_traced() -> None:
    """Only the MLPs of the traced layers move."""
    changed = moved("olmo", TracedScope(), [1, 2])
    assert {name.split(".")[2] for name in changed} == {"1", "2"}
    assert all(".mlp." in name for name in changed)


def test_traced_layers_beyond_the_model() -> None:
    """Layers of a trace of a deeper model are refused."""
    with pytest.raises(InputError, match="layer 9"):
        moved("olmo", TracedScope(), [9])
