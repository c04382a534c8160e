"""run.log of a run folder: everything that is logged while the run goes on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_LOG = "run.log"
FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] %(message)s"


@contextmanager
def logged_to(run_dir: Path) -> Iterator[None]:
    """Append to run.log what this package logs inside the block, from INFO on, and others' warnings.

    Only the owner of the folder may call this.
    """
    handler = logging.FileHandler(run_dir / RUN_LOG, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    root, own = logging.getLogger(), logging.getLogger("unlearning")
    level = own.level
    root.addHandler(handler)
    own.setLevel(logging.INFO)
    try:
        yield
    finally:
        own.setLevel(level)
        root.removeHandler(handler)
        handler.close()
