"""Metrics of a user's own: functions named by their dotted paths (evaluation.own_metrics)."""

import math
from collections.abc import Callable, Sequence

from unlearning.config.dotted import located
from unlearning.errors import InputError
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.metrics import is_described
from unlearning.evaluation.result import EvaluationResult

KEY = "evaluation.own_metrics"
Metric = Callable[[EvaluatedModel, EvaluationResult], float | None]


def own_metrics(paths: Sequence[str]) -> dict[str, Metric]:
    """Return the functions by their names, which are the keys in metrics.json.

    Raises InputError for a path that leads to no function, for a name that stands twice, and for that of a metric that
    every evaluation has.
    """
    found: dict[str, Metric] = {}
    for path in paths:
        function, name = located(path, KEY), path.rpartition(".")[2]
        if not callable(function):
            raise InputError(f"{KEY}={path}: must be a function")
        if name in found or is_described(name):
            raise InputError(f"{KEY}={path}: there is a metric {name} already; give the function another name")
        found[name] = function
    return found


def measure_own(paths: Sequence[str], evaluated: EvaluatedModel, result: EvaluationResult) -> dict[str, float | None]:
    """Return the value of each metric by its name, from the model and all that was measured of it before.

    Raises InputError as `own_metrics`, and for a value that is neither a finite number nor None.
    """
    values = {name: function(evaluated, result) for name, function in own_metrics(paths).items()}
    for name, value in values.items():
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise InputError(f"{KEY}: {name} returned {value!r}; must be a finite number or None")
    return {name: None if value is None else float(value) for name, value in values.items()}
