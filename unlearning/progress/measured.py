"""How long the parts of a run took, noted while they are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One part that came to its end."""

    name: str
    items: int
    seconds: float


_NOTED: ContextVar[list[Measured] | None] = ContextVar("measured_parts", default=None)


@contextmanager
def parts_measured() -> Iterator[list[Measured]]:
    """Yield a list to which each part that ends meanwhile is added."""
    noted: list[Measured] = []
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)


def note(part: Measured) -> None:
    """Add the part to the list of `parts_measured`, where one is open."""
    noted = _NOTED.get()
    if noted is not None:
        noted.append(part)
