"""Table and figure of experiments/pretrained_search: searches with equal budgets on SmolLM2 (see experiments/study.py).

FOLDER has a folder for each method, made by `unlearn -m search=METHOD`, with a folder for each trial.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments import searches
from experiments.study import Line, Study
from unlearning.report.style import Picture

SCORES = {
    "task_aggregate": "task aggregate",
    "mia_auc": "AUC",
    "forget_knowledge": "forget EM",
    "forget_regurgitation": "forget R-L",
    "retain_knowledge": "retain EM",
    "neutral_nats": "neutral loss, nats",
}
"""The first one counts: there is one member, too few for a membership score."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each trial that came to its end."""
    return searches.trials(folder, list(SCORES))


def table(lines: Sequence[Line]) -> str:
    """Return a row for each method: its budget, and its best trial."""
    return searches.table(lines, SCORES)


def answer(lines: Sequence[Line]) -> str:
    """Give the best task aggregate of each method."""
    return searches.answer(lines, SCORES)


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of the best score against the budget."""
    return [searches.budget_picture(lines, SCORES)]


STUDY = Study(
    folder=Path(__file__).parent,
    question="Which methods do best on a pretrained model with equal budgets?",
    answer=answer,
    columns=searches.columns(list(SCORES)),
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
