"""Makes figures empty, for tests of whole runs that do not look at figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matplotlib.figure import Figure


@contextmanager
def empty_figures() -> Iterator[None]:
    """Save every figure with nothing in it, because drawing takes longer than the rest of such a short run."""
    original = Figure.savefig

    def save(figure: Figure, *arguments: Any, **settings: Any) -> None:
        figure.clear()
        figure.set_layout_engine("none")
        original(figure, *arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
