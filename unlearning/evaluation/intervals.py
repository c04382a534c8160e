"""Bootstrap intervals: how far a metric could be off, had other documents and questions of the same kind been drawn.

They are percentile intervals at a level of 95% (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 8
and 13): as many items as were scored are drawn from them with replacement, many times, and each draw has its metrics.

- Rows: all rows of a document are drawn together, since they are right or wrong together (Field & Welsh 2007,
  Bootstrapping clustered data). Each task of each split is drawn from by itself, so that no draw lacks a task.
- Documents of the membership test: members and non-members are drawn separately; every attack gets the same draws.
- Questions: each subject is drawn from by itself, since the benchmark fixes the subjects and macro accuracy needs them
  all.

The intervals do not show what another seed of the training would have changed. A group of n items (documents of a task,
questions of a subject) makes an interval too narrow by the factor sqrt(1 - 1/n): this is much for a small group, and a
group of one adds no width at all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from unlearning.bootstrap import RESAMPLES, SEED, Indices, Values, count_draws, draw_indices, percentile_interval
from unlearning.data.ids import document_id
from unlearning.data.rows import Kind
from unlearning.evaluation.membership import attack_values, auc_key, member_flags, mia_score
from unlearning.evaluation.result import DocumentScore, Generation, QuestionScore
from unlearning.evaluation.semeval import MEASURES, term_keys

ROWS, DOCUMENTS, QUESTIONS, ITEMS = range(4)
"""What is drawn. Each has its own random stream, so the draws are independent, and the same for every model."""
FINAL = ("task_aggregate", "mia_score", "utility")
"""The three parts of the final score."""
Drawn = dict[str, Values]
"""The value of each metric in each draw (resamples,); NaN where a draw has no row for it."""


def intervals(
    metrics: Mapping[str, float | None],
    generations: Sequence[Generation],
    membership: Sequence[DocumentScore],
    reference: Sequence[DocumentScore] | None,
    questions: Mapping[str, Sequence[QuestionScore]],
    benchmarks: Mapping[str, Values],
    resamples: int = RESAMPLES,
) -> dict[str, list[float]]:
    """Return the lower and upper end of the 95% interval of every mean, AUC and aggregate in `metrics`.

    `questions` are the scores of "utility" (and of "utility_macro", which is computed from the same questions),
    "utility_cloze" and "utility_letters". `benchmarks` are the draws of the metrics of the benchmarks and of
    memorisation. A draw of "final" is the mean of one draw of each of its three parts, which are independent. The
    intervals are the same at every call.

    - A metric that is None has no interval. A true positive rate at a low false positive rate has none either: it
      depends on the one or two lowest non-members, and the bootstrap fails for extremes.
    - The ends of mia_score are its least and greatest value over the interval of mia_auc. The score is folded at an AUC
      of 0.5, so nearly all draws lie below 1, and their percentiles would never include the best value.
    - For the same reason the draws of "final" are a little low where the AUC is nearly 0.5: at exactly 0.5, two of
      three intervals of "final" hold the true value; from 0.48 or 0.52 on, 19 of 20 do.
    - An interval is extended to the metric itself where that lies outside.
    """
    drawn = mean_score_draws(generations, resamples) | membership_draws(membership, reference, resamples)
    drawn |= benchmarks
    for name, scores in questions.items():
        drawn |= accuracy_draws(name, scores, resamples)
    if "mia_auc" in drawn:
        drawn["mia_score"] = np.array([mia_score(auc) for auc in drawn["mia_auc"]])
    if all(name in drawn for name in FINAL):
        drawn["final"] = np.mean([drawn[name] for name in FINAL], axis=0)
    found = {name: _interval(values) for name, values in drawn.items() if not np.isnan(values).all()}
    if "mia_auc" in found:
        low, high = found["mia_auc"]
        found["mia_score"] = min(mia_score(low), mia_score(high)), mia_score(min(max(0.5, low), high))
    known = {name: metric for name, metric in metrics.items() if metric is not None and name in found}
    return {name: [min(found[name][0], metric), max(found[name][1], metric)] for name, metric in known.items()}


def _interval(values: Values) -> tuple[float, float]:
    """Return the ends of the 95% interval of a metric's draws (resamples,) as plain numbers."""
    low, high = percentile_interval(values)
    return float(low), float(high)


def mean_score_draws(generations: Sequence[Generation], resamples: int) -> Drawn:
    """Return the draws of the metrics of `semeval.mean_scores`, and of the task aggregate if no term lacks rows."""
    generator = np.random.default_rng([SEED, ROWS])
    groups: dict[tuple[str, str], dict[str, list[Generation]]] = defaultdict(lambda: defaultdict(list))
    for item in generations:
        groups[item.split, item.task][document_id(item.id)].append(item)
    totals: dict[str, Values] = defaultdict(lambda: np.zeros((2, resamples)))
    for (split, task), documents in groups.items():
        times = count_draws(draw_indices(generator, len(documents), resamples), len(documents))
        for kind, measure in MEASURES.items():
            sums = [_sum_and_count(rows, kind) for rows in documents.values()]
            for name in (f"{split}_{measure}", f"{split}_{task}_{measure}"):
                totals[name] += (times @ np.array(sums, dtype=float)).T
    with np.errstate(invalid="ignore"):
        means = {name: sums / counts for name, (sums, counts) in totals.items()}
    if set(term_keys()) <= set(means):
        terms = [1 - means[key] if key.startswith("forget") else means[key] for key in term_keys()]
        means["task_aggregate"] = harmonic_means(np.array(terms))
    return means


def _sum_and_count(rows: Sequence[Generation], kind: Kind) -> tuple[float, int]:
    scores = [row.score for row in rows if row.kind == kind]
    return sum(scores), len(scores)


def harmonic_means(terms: Values) -> Values:
    """Return the harmonic mean (N,) of each column of the terms (T, N), which are 0 or more.

    A term of 0 makes the mean 0, and a NaN makes it NaN.
    """
    with np.errstate(divide="ignore"):
        means: Values = len(terms) / (1 / terms).sum(axis=0)
    return means


def membership_draws(
    scores: Sequence[DocumentScore], reference: Sequence[DocumentScore] | None, resamples: int
) -> Drawn:
    """Return the draws of every attack's AUC and of the mean loss of non-members; empty without documents."""
    if not scores:
        return {}
    generator, member = np.random.default_rng([SEED, DOCUMENTS]), member_flags(scores)
    members = draw_indices(generator, int(member.sum()), resamples)
    others = draw_indices(generator, int((~member).sum()), resamples)
    losses = np.array([item.loss_nats for item in scores if not item.member])
    return {"neutral_nats": losses[others].mean(axis=1)} | {
        auc_key(attack): drawn_auc(values[member], values[~member], members, others)
        for attack, values in attack_values(scores, reference).items()
    }


def drawn_auc(members: Values, others: Values, drawn_members: Indices, drawn_others: Indices) -> Values:
    """Return the AUC of each draw (resamples,): how often a drawn member has a lower value than a drawn non-member.

    Equal values count half. `members` (M,) and `others` (N,) are the values, `drawn_members` (resamples, M) and
    `drawn_others` (resamples, N) the indices drawn of them.
    """
    # All draws at once, counted by value and not by pair: scikit-learn's roc_auc_score would take them one by one.
    levels, places = np.unique(np.concatenate([members, others]), return_inverse=True)
    inside = count_draws(places[: len(members)][drawn_members], len(levels))
    outside = count_draws(places[len(members) :][drawn_others], len(levels))
    above = len(others) - outside.cumsum(axis=1) + outside / 2
    auc: Values = (inside * above).sum(axis=1) / (len(members) * len(others))
    return auc


def accuracy_draws(name: str, scores: Sequence[QuestionScore], resamples: int) -> Drawn:
    """Return the draws of the accuracy under `name`; for "utility" those of the mean accuracy of the subjects too.

    Of n answers drawn from n answers, of which a share p is right, Binomial(n, p) are right. So the number of right
    answers is drawn, and not the answers one by one.
    """
    if not scores:
        return {}
    generator = np.random.default_rng([SEED, QUESTIONS])
    subjects: dict[str, list[bool]] = defaultdict(list)
    for item in scores:
        subjects[item.subject].append(item.right)
    sizes = np.array([len(answers) for answers in subjects.values()])
    right = np.array([sum(answers) for answers in subjects.values()])
    drawn = generator.binomial(sizes, right / sizes, size=(resamples, len(sizes)))
    macro = {"utility_macro": (drawn / sizes).mean(axis=1)} if name == "utility" else {}
    return {name: drawn.sum(axis=1) / sizes.sum(), **macro}


def item_draws(values: Sequence[tuple[str, float]], resamples: int) -> Values:
    """Return the draws (resamples,) of the mean of the values, which are pairs of an item's id and its value.

    The values of one document are drawn together. Metrics of the same items get the same draws.
    """
    documents: dict[str, list[float]] = defaultdict(list)
    for name, value in values:
        documents[document_id(name)].append(value)
    generator = np.random.default_rng([SEED, ITEMS])
    times = count_draws(draw_indices(generator, len(documents), resamples), len(documents))
    sums, counts = (times @ np.array([(sum(found), len(found)) for found in documents.values()], dtype=float)).T
    means: Values = sums / counts
    return means
