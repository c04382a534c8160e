"""The best weights so far, in a file of their own beside the checkpoint."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from unlearning.errors import InputError
from unlearning.training.checkpoint import put_parameters, read_tensors, trainable, write_tensors
from unlearning.training.stopping_rules import Check

BEST = "best.safetensors"


def save_best(path: Path, model: nn.Module, check: Check, identity: str) -> None:
    """Write the parameters that may move, with the check that found them the best and the run's hash.

    Raises NotWrittenError, and leaves an earlier file as it was.
    """
    tensors = {
        f"parameter/{name}": parameter.detach().cpu().contiguous() for name, parameter in trainable(model).items()
    }
    write_tensors(path, tensors, {"check": json.dumps(asdict(check)), "identity": identity})


def restore_best(path: Path, model: nn.Module, identity: str) -> Check:
    """Give the model the best weights, and return the check that found them.

    This check may be later than the checkpoint knows of: the run was killed after the file had been written, and then
    stopped for another reason before it reached that check again. Raises InputError where the file does not exist, is
    damaged, or belongs to another run.
    """
    try:
        metadata, tensors = read_tensors(path, True)
        if metadata["identity"] != identity:
            raise ValueError("it is another run's")
        put_parameters(model, tensors)
        return Check(**json.loads(metadata["check"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        message = f"{path}: not a readable best state ({error}); delete the checkpoint beside it to start afresh"
        raise InputError(message) from error
