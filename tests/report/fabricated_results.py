"""Evaluations of models that were never trained: answers, losses and the scores that follow from them."""

import random
from typing import Any

from unlearning.evaluation.answer_score import scorers
from unlearning.evaluation.membership import ATTACKS, FALSE_POSITIVE_RATES, auc_key, tpr_key

TASKS = ("Task1", "Task2", "Task3")
KINDS = {"regurgitation": "sc", "knowledge": "qa"}
WORDS = ["the", "old", "keeper", "wrote", "letters", "to", "her", "brother", "about", "storms", "and", "bells"]
# Mean scores of forget and retain rows, area under the membership curve, accuracy.
LEVELS = {
    "target": (0.98, 0.99, 0.99, 0.62),
    "retrained": (0.12, 0.97, 0.51, 0.61),
    "layer_freeze": (0.14, 0.93, 0.58, 0.57),
    "chunked_lora": (0.07, 0.88, 0.44, 0.55),
    "grad_ascent": (0.00, 0.00, 0.31, 0.26),
}


def _sentence(source: random.Random, words: int) -> str:
    return " ".join(source.choice(WORDS) for _ in range(words))


def generations(model: str, seed: int, documents: int) -> list[dict[str, Any]]:
    source = random.Random(f"{model}{seed}")
    made = []
    for split, level in zip(("forget", "retain"), LEVELS[model], strict=False):
        for task in TASKS:
            for number in range(documents):
                for metric, kind in KINDS.items():
                    text = random.Random(f"{split}{task}{number}{kind}")
                    expected = _sentence(text, 22 if kind == "sc" else 2)
                    known = source.random() < level
                    other = _sentence(source, 22 if kind == "sc" else 2) if level else ""
                    score = (1.0 if known else 0.0) if metric == "knowledge" else (1.0 if known else level / 2)
                    made.append(
                        {
                            "id": f"{split}-{task}-{number}{kind}1",
                            "split": split,
                            "task": task,
                            "kind": kind,
                            "input": f"{_sentence(text, 40 if kind == 'sc' else 8)}",
                            "expected": expected,
                            "generated": expected if known else other,
                            "score": score,
                            "own": False,
                        }
                    )
    return made


def evaluation_of(model: str, seed: int, documents: int) -> dict[str, Any]:
    """Return an evaluation in full, as `EvaluationResult.to_json` has it."""
    answers = generations(model, seed, documents)
    metrics = metrics_of(model, answers)
    known = {key: value for key, value in metrics.items() if value is not None and "_tpr_" not in key}
    subjects = [{"id": f"q{number}", "subject": f"s{number % 5}", "right": number % 10 < 6} for number in range(60)]
    return {
        "metrics": metrics,
        "intervals": {key: [max(0.0, value - 0.05), min(1.0, value + 0.03)] for key, value in known.items()},
        "missing": [],
        "generations": answers,
        "membership": membership(model, seed),
        "cloze": subjects,
        "letters": subjects[:40],
        "weights_dtype": "float32",
        "scorers": scorers([False]),
        "items": {"memorisation": [{"group": "forget", "id": "a", "values": {"extraction_strength": 0.5}}]},
    }


def membership(model: str, seed: int) -> list[dict[str, Any]]:
    source = random.Random(f"membership{model}{seed}")
    auc = LEVELS[model][2]
    shift = {True: (0.5 - auc) * 2.2, False: 0.0}
    base = 9.0 if model == "grad_ascent" else 2.4
    found = []
    for member in (True, False):
        for number in range(48):
            loss = max(0.01, source.gauss(base + shift[member], 0.4))
            signs = {"loss_nats": loss, "zlib": loss / 300, "min_k": 2 * loss, "min_k_plus": 0.4 - loss}
            found.append({"id": f"{member}{number}", "member": member, **signs})
    return found


def metrics_of(model: str, answers: list[dict[str, Any]]) -> dict[str, float | None]:
    def mean(split: str, metric: str, task: str | None = None) -> float:
        kind = KINDS[metric]
        scores = [
            item["score"]
            for item in answers
            if item["split"] == split and item["kind"] == kind and task in (None, item["task"])
        ]
        return sum(scores) / len(scores)

    result: dict[str, float | None] = {}
    terms = []
    for split in ("forget", "retain"):
        for metric in KINDS:
            result[f"{split}_{metric}"] = mean(split, metric)
            for task in TASKS:
                value = mean(split, metric, task)
                result[f"{split}_{task}_{metric}"] = value
                terms.append(1 - value if split == "forget" else value)
    aggregate = 0.0 if min(terms) <= 0 else len(terms) / sum(1 / term for term in terms)
    auc, accuracy = LEVELS[model][2:]
    mia = 1 - 2 * abs(auc - 0.5)
    result |= {"mia_auc": auc, "mia_score": mia, "utility": accuracy, "utility_macro": accuracy - 0.01}
    result |= {"utility_cloze": accuracy, "utility_letters": 0.25, "neutral_nats": 2.5}
    result |= {auc_key(attack): auc for attack in ATTACKS} | dict.fromkeys(
        (tpr_key(rate, attack) for rate in FALSE_POSITIVE_RATES for attack in ATTACKS), 0.02
    )
    if model == "retrained":
        result |= {key: None for key in result if key.endswith("_reference")}
    for split, value in (("forget", LEVELS[model][0]), ("retain", LEVELS[model][1])):
        result |= {f"{split}_extraction_strength": value / 2, f"{split}_exact_memorisation": value}
    return result | {"task_aggregate": aggregate, "final": (aggregate + mia + accuracy) / 3}
