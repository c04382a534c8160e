"""Every metric of an evaluation: what it measures, which end of it is better, and between which values it lies."""

import math
from dataclasses import dataclass
from enum import Enum

SPLITS = ("forget", "retain")
MEASURES = {
    "regurgitation": "mean ROUGE-L recall over {} completions",
    "knowledge": "mean exact match over {} questions",
}


class Better(Enum):
    """Which values of a metric are better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    BETWEEN = "a value in between is best"
    """The best value is the metric's `best`."""


@dataclass(frozen=True)
class MetricDescription:
    """What a reader and a rule of selection must know of a metric."""

    name: str
    """The metric's name for people."""
    meaning: str
    """What it measures, without its direction."""
    better: Better | None = None
    """None: neither end is better, or it is not known."""
    lowest: float = 0.0
    """The least value that is possible."""
    highest: float = 1.0
    """The greatest value that is possible."""
    unit: str = ""
    """Empty for a number without a unit."""
    best: float | None = None
    """The best value where it lies in between."""

    @property
    def arrow(self) -> str:
        """Return ↑ or ↓ towards the better end; empty where neither end is better."""
        return {Better.HIGHER: "↑", Better.LOWER: "↓"}.get(self.better, "") if self.better else ""

    @property
    def sentence(self) -> str:
        """Return the meaning and what is best, for places without an arrow."""
        best = f"{self.best:g} is best" if self.best is not None else self.better.value if self.better else ""
        return f"{self.meaning}; {best}" if best else self.meaning


ATTACK_SIGNS = {
    "loss": "the document's loss",
    "zlib": "the loss over the text's compressed length",
    "min_k": "the loss of the 20% least likely tokens (Min-K%)",
    "min_k_plus": "Min-K%++, each token measured against the whole vocabulary",
    "reference": "the loss less the retrained model's loss",
}
"""What each membership attack takes as its sign of a member."""
ATTACK_RATES = {"1_percent": ("1%", 0.01), "1_permille": ("0.1%", 0.001)}
"""The rates of false positives at which the rate of true positives is measured: for people, and as numbers."""


def _attacks() -> dict[str, MetricDescription]:
    """Return the AUC of each attack, then the rates of true positives; the AUC of the loss is the official one."""
    found = {}
    for sign, words in ATTACK_SIGNS.items():
        key = "mia_auc" if sign == "loss" else f"mia_auc_{sign}"
        meaning = f"area under the ROC curve of {words} as a sign of membership"
        name = key.replace("_", " ").replace("mia auc", "membership AUC")
        found[key] = MetricDescription(name, meaning, Better.BETWEEN, best=0.5)
    for rate, (text, best) in ATTACK_RATES.items():
        for sign, words in ATTACK_SIGNS.items():
            key, meaning = f"mia_tpr_{rate}_{sign}", f"share of the members found by {words} at {text} false positives"
            found[key] = MetricDescription(key.replace("_", " "), meaning, Better.BETWEEN, best=best)
    return found


def _up(name: str, meaning: str) -> MetricDescription:
    return MetricDescription(name, meaning, Better.HIGHER)


def _down(name: str, meaning: str) -> MetricDescription:
    return MetricDescription(name, meaning, Better.LOWER)


def _privacy(benchmark: str, scored: str) -> dict[str, MetricDescription]:
    """Return the AUC and the privacy leakage of a benchmark, which scores texts or answers."""
    leakage = MetricDescription(
        "privacy leakage",
        f"{benchmark}_auc against that of a model which never saw the forget set (PrivLeak); less is under-unlearned, "
        "more is over-unlearned",
        Better.BETWEEN,
        lowest=-100.0,
        highest=math.inf,
        unit="%",
        best=0.0,
    )
    meaning = f"how often a forgotten {scored} has a greater Min-40% loss than one never seen"
    return {f"{benchmark}_auc": MetricDescription("auc", meaning), f"{benchmark}_privacy_leakage": leakage}


METRICS: dict[str, MetricDescription] = {
    "final": _up("final score", "mean of task aggregate, membership score and utility"),
    "task_aggregate": _up("task aggregate", "harmonic mean of the 12 terms"),
    "mia_score": _up("membership score", "1 - 2|AUC - 0.5| of the membership attack by the loss"),
    **_attacks(),
    "utility": _up("utility", "accuracy in the configured question format, over all questions"),
    "utility_macro": _up("utility macro", "mean of the subjects' accuracies in the configured question format"),
    "utility_cloze": _up("utility cloze", "accuracy by the likelihood of each option"),
    "utility_letters": _up("utility letters", "accuracy by the probability of the letters A-D"),
    "neutral_nats": MetricDescription(
        "neutral loss",
        "mean loss of the membership test's non-members, documents that no set holds",
        Better.LOWER,
        highest=math.inf,
        unit="nats a token",
    ),
    "forget_regurgitation": _down("forget regurgitation", MEASURES["regurgitation"].format("forget")),
    "forget_knowledge": _down("forget knowledge", MEASURES["knowledge"].format("forget")),
    "retain_regurgitation": _up("retain regurgitation", MEASURES["regurgitation"].format("retain")),
    "retain_knowledge": _up("retain knowledge", MEASURES["knowledge"].format("retain")),
    "forget_extraction_strength": _down(
        "forget extraction strength", "share of a forget row's output that the rest of it brings out"
    ),
    "retain_extraction_strength": _up(
        "retain extraction strength", "share of a retain row's output that the rest of it brings out"
    ),
    "forget_exact_memorisation": _down(
        "forget exact memorisation", "share of a forget row's output tokens that are the first guess"
    ),
    "retain_exact_memorisation": _up(
        "retain exact memorisation", "share of a retain row's output tokens that are the first guess"
    ),
}
"""The metrics that every evaluation has, by their keys. Besides them it has "{split}_{task}_{measure}" for each split,
task and measure of `MEASURES`: plain means, see `describe`."""
TOFU_METRICS: dict[str, MetricDescription] = {
    "tofu_forget_quality": _up(
        "forget quality", "p-value that the truth ratios are those of a model that never saw the authors"
    ),
    "tofu_model_utility": _up("model utility", "harmonic mean of the nine values of the sets that stay"),
    "tofu_forget_probability": _down("forget probability", "P(a|q)^(1/|a|) of the forgotten answers"),
    "tofu_forget_rouge": _down("forget rouge", "ROUGE-L recall of the forgotten answers"),
    "tofu_forget_truth_ratio": MetricDescription(
        "forget truth ratio", "how close right and wrong answers are, min(R, 1/R)", Better.BETWEEN, best=1.0
    ),
    "tofu_retain_probability": _up("retain probability", "P(a|q)^(1/|a|)"),
    "tofu_retain_rouge": _up("retain rouge", "ROUGE-L recall"),
    "tofu_retain_truth_ratio": _up("retain truth ratio", "how far right is above wrong, max(0, 1 - R)"),
    "tofu_real_authors_probability": _up(
        "real authors probability", "share of the answer in the probabilities of all options"
    ),
    "tofu_real_authors_rouge": _up("real authors rouge", "ROUGE-L recall"),
    "tofu_real_authors_truth_ratio": _up("real authors truth ratio", "max(0, 1 - R)"),
    "tofu_world_facts_probability": _up(
        "world facts probability", "share of the answer in the probabilities of all options"
    ),
    "tofu_world_facts_rouge": _up("world facts rouge", "ROUGE-L recall"),
    "tofu_world_facts_truth_ratio": _up("world facts truth ratio", "max(0, 1 - R)"),
    **_privacy("tofu", "answer"),
}
MUSE_METRICS: dict[str, MetricDescription] = {
    "muse_verbatim": _down("verbatim", "ROUGE-L F1 of how forgotten passages go on (VerbMem)"),
    "muse_knowledge_forget": _down("knowledge forget", "ROUGE-L F1 of answers on the forget set (KnowMem)"),
    "muse_knowledge_retain": _up("knowledge retain", "ROUGE-L F1 of answers on the retain set"),
    **_privacy("muse", "text"),
}
WMDP_METRICS: dict[str, MetricDescription] = {
    f"wmdp_{subject}": _down(subject, f"accuracy on hazardous questions of {subject} (WMDP), 0.25 by chance")
    for subject in ("biology", "cybersecurity", "chemistry")
}
RWKU_METRICS: dict[str, MetricDescription] = {
    "rwku_forget_level1": _down("forget level 1", "ROUGE-L recall of blanks about the forgotten people"),
    "rwku_forget_level2": _down("forget level 2", "ROUGE-L recall of answers about the forgotten people"),
    "rwku_forget_level3": _down("forget level 3", "ROUGE-L recall of such answers under adversarial attacks"),
    "rwku_neighbor_level1": _up("neighbor level 1", "ROUGE-L recall of blanks about what is close to the people"),
    "rwku_neighbor_level2": _up("neighbor level 2", "ROUGE-L recall of answers about what is close to the people"),
    "rwku_forget_nats": MetricDescription(
        "forget loss", "mean loss of texts about the people", Better.HIGHER, highest=math.inf, unit="nats a token"
    ),
    "rwku_retain_nats": MetricDescription(
        "retain loss", "mean loss of texts about others", Better.LOWER, highest=math.inf, unit="nats a token"
    ),
}
BENCHMARKS = {"tofu": TOFU_METRICS, "muse": MUSE_METRICS, "wmdp": WMDP_METRICS, "rwku": RWKU_METRICS}
"""The metrics of each benchmark. An evaluation has all keys of a benchmark, or none if the data lacks it."""
_ALL = METRICS | TOFU_METRICS | MUSE_METRICS | WMDP_METRICS | RWKU_METRICS


def describe(key: str) -> MetricDescription:
    """Return the description of a metric by its key in metrics.json.

    A key that is not listed is described by its pattern: "{split}_{task}_{measure}" is the mean of one task, and of
    whatever else begins with "retain_" higher is better, with "forget_" lower. Of any other key nothing is known.
    """
    if key in _ALL:
        return _ALL[key]
    split, _, rest = key.partition("_")
    name = key.replace("_", " ")
    if split not in SPLITS:
        return MetricDescription(name, "", lowest=-math.inf, highest=math.inf)
    better = Better.LOWER if split == "forget" else Better.HIGHER
    task, _, measure = rest.rpartition("_")
    if measure in MEASURES:
        return MetricDescription(name, f"{MEASURES[measure].format(split)} of {task}", better)
    return MetricDescription(name, "", better, -math.inf, math.inf)


def is_described(key: str) -> bool:
    """Return whether the framework measures a metric of this key."""
    return key in _ALL
