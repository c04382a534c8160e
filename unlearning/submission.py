"""The official entry point of SemEval-2025 Task 4: one function with four positional arguments."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir

from unlearning.config.compatibility import refuse_quantization
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.training.checkpoint import CHECKPOINT

if TYPE_CHECKING:
    from unlearning.config.commands import UnlearnConfig


def unlearn(
    model_path: str, output_dir: str, forget_dir: str, retain_dir: str, overrides: tuple[str, ...] = ()
) -> None:
    """Unlearn the forget set and store one checkpoint, with its tokenizer, in `output_dir`.

    Each directory holds forget.parquet or retain.parquet (the JSONL file beside it has the same rows and is not read).
    `overrides` are Hydra's, as on the command line of `unlearn`; the default method is AILS-NTUA's chunked gradient
    difference on the last eight layers. Raises InputError for anything that cannot be used.

    Source: the submission rules on the task's website.
    """
    config = _compose(model_path, forget_dir, retain_dir, overrides)
    from unlearning.artefacts import write_folder
    from unlearning.commands.stages.first_checks import check_method
    from unlearning.commands.stages.known import read_inputs
    from unlearning.commands.stages.load import load_inputs
    from unlearning.commands.stages.load_pair import check_rows
    from unlearning.commands.stages.trace import traced_layers
    from unlearning.context import on_main_process
    from unlearning.runs.folder import merged
    from unlearning.training.unlearn import unlearn_model

    work = Path(output_dir)
    work.mkdir(parents=True, exist_ok=True)
    known = read_inputs(config)
    check_rows(known.corpus, [known.skeleton], known.tokenizer, config.prompt)
    check_method(config, known, work)
    inputs = load_inputs(config, known)
    traced = traced_layers(config, inputs, work)
    unlearned = unlearn_model(config, inputs.model, inputs.tokenizer, inputs.corpus, traced, work, [])
    if not on_main_process():
        return
    model = merged(unlearned.model)

    def fill(folder: Path) -> None:
        model.save_pretrained(folder)
        inputs.tokenizer.save_pretrained(folder)

    write_folder(work / "checkpoint", fill)
    # The weights are moved last: a folder that has them has everything.
    for item in sorted((work / "checkpoint").iterdir(), key=lambda item: item.suffix == ".safetensors"):
        item.replace(work / item.name)
    (work / "checkpoint").rmdir()
    shutil.rmtree(work / CHECKPOINT, ignore_errors=True)


def _compose(model_path: str, forget_dir: str, retain_dir: str, overrides: tuple[str, ...]) -> "UnlearnConfig":
    """Return the checked settings of a submission."""
    register()
    given = [
        "model=local",
        f"model.path={model_path}",
        "data=task_directories",
        f"data.forget=[{forget_dir}]",
        f"data.retain=[{retain_dir}]",
        "method=chunked_last_k",
        "logger=none",
        # The task allows an hour for everything. This is what loading, tracing and saving leave of it.
        "stopping.max_seconds=3000",
        *overrides,
    ]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("unlearn", given)
    config: UnlearnConfig = settings_of(cfg)
    refuse_quantization(config.model, "a submission")
    return config
