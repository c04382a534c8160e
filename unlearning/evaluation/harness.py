"""Any other task, from EleutherAI's lm-evaluation-harness (Gao et al. 2024, doi 10.5281/zenodo.12608602).

An optional extra: the harness brings tasks, prompts and metrics; the model is ours, in memory. Results are not kept for
a later run, since a task's name does not tell its content.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.evaluation import HarnessConfig
from unlearning.errors import InputError, first_line
from unlearning.evaluation.result import EvaluationResult, ItemScore

ITEMS = "harness"
"""Where an evaluation's result has the tasks, one item each."""
RESAMPLES = 1000
"""Of the bootstrap that the harness makes a metric's standard error with, where it knows no formula."""


def require_harness(config: HarnessConfig) -> None:
    """Raise InputError where tasks are asked for and the harness is not installed, or there is no such folder."""
    if config.tasks and importlib.util.find_spec("lm_eval") is None:
        raise InputError(
            f"evaluation.harness.tasks={_names(config)}: needs lm-evaluation-harness, which is not installed: "
            "pip install 'unlearning[harness]', or '.[harness]' in a checkout"
        )
    if config.include_path is not None and not Path(config.include_path).is_dir():
        raise InputError(f"evaluation.harness.include_path={config.include_path}: no such folder")


def harness_scores(
    config: HarnessConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[ItemScore]:
    """Metrics of each task and group, under the harness's own names; none where no task is asked for.

    Raises InputError as `require_harness`, and for a task that the harness does not know or whose data it cannot get.
    """
    require_harness(config)
    if not config.tasks:
        return []
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    training = model.training
    try:
        found = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=config.batch_size),
            tasks=list(config.tasks),
            num_fewshot=config.num_fewshot,
            limit=config.limit,
            bootstrap_iters=RESAMPLES,
            log_samples=False,
            task_manager=TaskManager(include_path=config.include_path),
            # None: random numbers are the run's. The harness draws examples with a seed of its own.
            random_seed=None,
            numpy_random_seed=None,
            torch_random_seed=None,
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"evaluation.harness.tasks={_names(config)}: {first_line(error)}") from error
    finally:
        model.train(training)
    return [ItemScore(ITEMS, task, numbers(values)) for task, values in found["results"].items()]


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """A task's metrics by name: "acc,none" is acc; another filter than none stays in the name, as "em,strict"."""
    return {
        name.removesuffix(",none"): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and "," in name
    }


def by_task(result: EvaluationResult) -> dict[str, dict[str, float]]:
    """The harness's metrics of each task; empty where none was asked for."""
    return {item.id: item.values for item in result.items.get(ITEMS, [])}


def _names(config: HarnessConfig) -> str:
    return f"[{','.join(config.tasks)}]"
