"""What a command says when it ends: the files to look at."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console


def show_files(folder: Path, files: Mapping[str, str]) -> None:
    """Print a line for each file of a folder: its path, whole so that it can be copied, and what is in it.

    `files` says what is in each, by its name in the folder.
    """
    paths = [str(folder / name) for name in files]
    for path, what in zip(paths, files.values(), strict=True):
        Console().print(f"  {path:<{max(map(len, paths))}}  {what}", highlight=False, markup=False, soft_wrap=True)
