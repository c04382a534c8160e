"""Processes that tests start: copies of one that has imported the libraries, which takes longer than most tests."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_COPIES = multiprocessing.get_context("forkserver")
_COPIES.set_forkserver_preload(["unlearning.cli", "unlearning.commands.unlearn"])
LONGEST_SECONDS = 300


def start(
    function: Callable[..., None],
    *arguments: Any,
    folder: Path,
    name: str = "process",
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Start a process that calls a function of a module, and return it.

    It works in `folder`, and writes what it prints into the files NAME.out and NAME.err there. `environment` adds to
    the variables of this process.
    """
    variables = {**os.environ, **(environment or {})}
    process = _COPIES.Process(target=_call, args=(function, arguments, folder, name, variables))
    process.start()
    return process


def exit_code(process: ForkServerProcess, seconds: float = LONGEST_SECONDS) -> int:
    """Wait for a process and return its exit code: minus the signal's number if a signal killed it."""
    process.join(seconds)
    assert process.exitcode is not None, f"the process has not ended after {seconds} s"
    return process.exitcode


def _call(
    function: Callable[..., None], arguments: tuple[Any, ...], folder: Path, name: str, variables: Mapping[str, str]
) -> None:
    """Call the function where and as `start` says."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, ending in ((1, "out"), (2, "err")):
        with (folder / f"{name}.{ending}").open("w") as file:
            os.dup2(file.fileno(), number)
    function(*arguments)
