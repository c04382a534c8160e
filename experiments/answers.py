"""The list of studies in the project's README: `python -m experiments.answers` writes it, from their results.csv."""

import importlib
from pathlib import Path

from experiments.study import Study, between
from unlearning.artefacts import write_text

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKERS = ("<!-- studies -->\n", "<!-- /studies -->\n")


def studies() -> list[Study]:
    """All of them, by name."""
    names = sorted(path.parent.name for path in HERE.glob("*/study.py"))
    return [importlib.import_module(f"experiments.{name}.study").STUDY for name in names]


def answers() -> str:
    """One line a study."""
    return "".join(line(study, study.answer(study.lines())) for study in studies())


def line(study: Study, answer: str) -> str:
    """Question, answer and folder."""
    return f"- **{study.question}** {answer[0].upper()}{answer[1:]} (`experiments/{study.folder.name}/`)\n"


def readme() -> str:
    """The project's README with the list as the results have it."""
    return between(MARKERS, README.read_text(), answers())


if __name__ == "__main__":
    write_text(README, readme())
