"""Tasks of EleutherAI's lm-evaluation-harness (Gao et al. 2024, doi 10.5281/zenodo.12608602).

The harness is an optional extra. It brings the tasks, prompts and metrics, and asks our model in memory. Its results
are not cached, since the name of a task does not tell what is in it.
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
"""Key of an evaluation's `items` under which each task is one item."""
RESAMPLES = 1000
"""Bootstrap resamples for the standard error of a metric for which the harness knows no formula."""


def require_harness(config: HarnessConfig) -> None:
    """Raise InputError for tasks without the harness, tasks that it does not know, and a folder that is not there."""
    if config.tasks and importlib.util.find_spec("lm_eval") is None:
        raise InputError(
            f"evaluation.harness.tasks={_names(config)}: needs lm-evaluation-harness, which is not installed: "
            "pip install 'unlearning-experiments[harness]', or '.[harness]' in a checkout"
        )
    if config.include_path is not None and not Path(config.include_path).is_dir():
        raise InputError(f"evaluation.harness.include_path={config.include_path}: no such folder")
    if config.tasks:
        _require_known(config)


def _require_known(config: HarnessConfig) -> None:
    """Raise InputError for the first task that the harness does not know; its own files and include_path name them."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=config.include_path)
    unknown = next((task for task in config.tasks if not manager.match_tasks([task])), None)
    if unknown is not None:
        raise InputError(f"evaluation.harness.tasks={_names(config)}: the harness has no task {unknown}")


def harness_scores(
    config: HarnessConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[ItemScore]:
    """Return the metrics of each task and group under the harness's own names; empty where no task is asked for.

    Raises InputError as `require_harness`, and for a task whose data it cannot load.
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
            # None keeps the random state of the run. The harness draws its examples with a seed of its own.
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
    """Return a task's metrics by name: "acc,none" becomes acc; another filter stays in the name, as in "em,strict"."""
    return {
        name.removesuffix(",none"): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and "," in name
    }


def by_task(result: EvaluationResult) -> dict[str, dict[str, float]]:
    """Return the harness's metrics of each task; empty where no task was asked for."""
    return {item.id: item.values for item in result.items.get(ITEMS, [])}


def harness_result(result: EvaluationResult) -> EvaluationResult:
    """Return every metric of every task of the harness as "task metric"; its standard errors make the intervals."""
    found = EvaluationResult()
    for task, values in by_task(result).items():
        for metric, value in values.items():
            name, comma, kind = metric.partition(",")
            error = values.get(f"{name}_stderr{comma}{kind}")
            if "_stderr" not in metric:
                found.metrics[f"{task} {metric}"] = value
            if error is not None:
                found.intervals[f"{task} {metric}"] = [value - 1.96 * error, value + 1.96 * error]
    return found


def _names(config: HarnessConfig) -> str:
    return f"[{','.join(config.tasks)}]"
