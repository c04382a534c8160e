"""Table of experiments/pretrained_retain: what keeps a pretrained model best (see experiments/study.py)."""

from collections.abc import Sequence
from pathlib import Path

from experiments.pretrained_depth.study import MEASURED, SHOWN, cells, settings_and_scores
from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import Picture

TERMS = {"retain_weight": "cross-entropy", "divergence_weight": "KL"}
"""Weight of the objective -> the term that it weighs; a run has one of them."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished run in the folder."""
    return [_line(path.parent) for path in sorted(folder.glob("*/metrics.json"))]


def _line(run: Path) -> Line:
    config, scores = settings_and_scores(run)
    (key,) = (key for key in TERMS if config["objective"][key])
    return {"term": TERMS[key], "weight": str(config["objective"][key]), "seed": str(config["seed"]), **scores}


def table(lines: Sequence[Line]) -> str:
    """Return a row for each term and weight."""
    rows = []
    for (term, weight), runs in group_by(lines, "term", "weight").items():
        rows.append([term, weight, *cells(runs)])
    return markdown(["term", "weight", *SHOWN.values()], rows)


def answer(lines: Sequence[Line]) -> str:
    """Give what each term and weight forgets and keeps."""
    parts = []
    for (term, weight), runs in group_by(lines, "term", "weight").items():
        kept, nats = mean(runs, "retain_knowledge"), mean(runs, "neutral_nats")
        parts.append(f"{term} {weight}: {kept:.2f} and {nats:.2f} nats at {mean(runs, 'task_aggregate'):.2f}")
    return f"retained answers and loss of other text, at a task aggregate: {'; '.join(parts)}."


def pictures(_: Sequence[Line]) -> list[Picture]:
    """Return no figure: there are few runs, and the table says all."""
    return []


STUDY = Study(
    folder=Path(__file__).parent,
    question="KL or cross-entropy on retain rows of a pretrained model?",
    answer=answer,
    columns={key: key for key in ("term", "weight", "seed", *MEASURED, "seconds")},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
