"""What a command says and records about the architecture of its model, before anything slow."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from transformers import PreTrainedModel

from unlearning.artefacts import write_json
from unlearning.context import on_main_process
from unlearning.models.capabilities import capabilities

ARCHITECTURE = "architecture.json"


def record_architecture(model: PreTrainedModel, run_dir: Path) -> None:
    """Write what can be done with the model to architecture.json, and print a line where it is not what is usual.

    An architecture that is not on the tested list is tested first. Raises InputError where it cannot be used.
    """
    found = capabilities(model)
    if not on_main_process():
        return
    write_json(run_dir / ARCHITECTURE, asdict(found))
    if (line := found.line()) is not None:
        Console().print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
