"""Write the list of studies in docs/studies.md from their results.csv: `python -m experiments.answers`."""

import importlib
from pathlib import Path

from experiments.study import Study, replace_between
from unlearning.artefacts import write_text

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "studies.md"
MARKERS = ("<!-- studies -->\n", "<!-- /studies -->\n")


def studies() -> list[Study]:
    """Return all studies in the order of their names."""
    names = sorted(path.parent.name for path in HERE.glob("*/study.py"))
    return [importlib.import_module(f"experiments.{name}.study").STUDY for name in names]


def answers() -> str:
    """Return the list, one line for each study."""
    return "".join(line(study, study.answer(study.lines())) for study in studies())


def line(study: Study, answer: str) -> str:
    """Return one line of the list: the question, the answer and the folder of a study."""
    return f"- **{study.question}** {answer[0].upper()}{answer[1:]} (`experiments/{study.folder.name}/`)\n"


def page() -> str:
    """Return docs/studies.md with the list that follows from the committed results."""
    return replace_between(MARKERS, PAGE.read_text(), answers())


if __name__ == "__main__":
    write_text(PAGE, page())
