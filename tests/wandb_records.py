"""Reads what W&B wrote without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAYER = 32768
"""Bytes between the places that no record of the file crosses."""


def offline_records(path: Path) -> Iterator[Any]:
    """Yield the records of an offline file, which has W&B's header and then LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, whole = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        if LAYER - place % LAYER < 7:
            place += LAYER - place % LAYER
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""
