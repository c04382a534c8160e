"""Objects of a user's own code, named by a dotted path such as my_module.MyLoss."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from unlearning.errors import InputError, first_line


def located(path: str, key: str) -> Any:
    """Return the object at a dotted path; modules of the working folder are found too.

    Raises InputError, which names `key`, where there is no such module or nothing of that name in it.
    """
    module, _, name = path.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{key}={path}: cannot be imported ({first_line(error)}); must be MODULE.NAME, of a module in the working "
            "folder or on the Python path"
        ) from error
