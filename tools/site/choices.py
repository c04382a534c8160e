"""The reference of every choice of every group, and of every method, from the comments and defaults in conf/."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools.site.source import first_paragraph
from tools.site.stacked import stacked

ROOT = Path(__file__).parent.parent.parent
CONF = ROOT / "conf"
QUESTIONS = {
    "model": "Which weights?",
    "data": "Which rows?",
    "method": "Which preset of the next four groups?",
    "objective": "Which loss?",
    "scope": "Which weights move?",
    "schedule": "In which order do rows come?",
    "ratio": "How many retain rows for each forget row?",
    "trace": "How are layers found?",
    "evaluation": "How is it scored?",
    "probe": "What is tried to bring the forgotten back? (a list)",
    "trainer": "On which hardware?",
    "logger": "Where do curves go?",
    "search": "Which numbers are looked for? (with `-m`)",
    "experiment": "Which set of changes to all of this?",
}
"""Each group in the order in which one chooses, with the question that it answers."""

METHODS = """Made from `conf/method/` and from the docstrings in `unlearning/objectives/`. A method is a preset of
four groups, and each of them can be exchanged alone: `unlearn method=npo scope=lora schedule=chunked
ratio=1to3`.

F is the term of a forget row and R that of a retain row, CE the mean cross-entropy of a row's answer. How terms
become the loss of a step is said [here](api.md#unlearning.objectives.base.Objective). Papers are named by their arXiv
numbers."""
"""What stands at the head of the page of methods."""


@cache
def _content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return found


def comment(path: Path) -> str:
    """Return the comment with which a file of conf/ begins, on one line."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def options(group: str) -> list[Path]:
    """Return the files of a group, in alphabetical order; those in its folders come last."""
    folder = CONF / group
    return [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*/*.yaml"))]


def schema_name(path: Path) -> str | None:
    """Return the schema that a file fills in, such as NPOConfig, also by way of the files that it derives from."""
    for entry in _content(path).get("defaults", []):
        if isinstance(entry, str) and entry.startswith("/schema/"):
            return entry.rpartition("/")[2].partition("@")[0]
        if isinstance(entry, str) and (path.parent / f"{entry}.yaml").exists():
            return schema_name(path.parent / f"{entry}.yaml")
    return None


def choices_page() -> str:
    """Return the page with every choice of every group as Markdown."""
    lines = ["# Every choice", "", "Made from the files in `conf/`. `GROUP=CHOICE` on the command line takes one."]
    for group, question in QUESTIONS.items():
        rows = [_option(group, path) for path in options(group)]
        table = stacked(["| choice | what | keys |", "|---|---|---|", *rows])
        lines += ["", f"## {group}", "", question, "", *table]
    return "\n".join(lines) + "\n"


def _option(group: str, path: Path) -> str:
    name = str(path.relative_to(CONF / group).with_suffix(""))
    schema = schema_name(path)
    keys = f"[{schema}](keys.md#{schema.lower()})" if schema else ""
    return f"| `{name}` | {_cell(comment(path))} | {keys} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def method_parts(name: str) -> dict[str, str]:
    """Return what a preset chooses in each of the four groups, also by way of the presets that it derives from."""
    found: dict[str, str] = {}
    for entry in _content(CONF / "method" / f"{name}.yaml").get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found |= method_parts(entry)
        elif isinstance(entry, dict):
            found |= {key.removeprefix("override /"): str(value) for key, value in entry.items()}
    return found


def method_numbers(name: str) -> dict[str, Any]:
    """Return the numbers of optimiser and schedule that a preset sets, also by way of those that it derives from."""
    content, found = _content(CONF / "method" / f"{name}.yaml"), {}
    for entry in content.get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found |= method_numbers(entry)
    for section in ("optimizer", "schedule"):
        found |= {f"{section}.{key}": value for key, value in (content.get(section) or {}).items()}
    return found


@cache
def formulas() -> dict[str, str]:
    """Return the first paragraph of each objective's docstring, its formula, by the objective's class."""
    found = {}
    for path in (ROOT / "unlearning" / "objectives").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = first_paragraph(ast.get_docstring(node) or "")
    return found


def methods_page() -> str:
    """Return the page with every method: its source, its parts, its numbers, and the formula of its objective."""
    lines = ["# Methods", "", METHODS]
    for path in options("method"):
        lines += ["", f"## {path.stem}", "", comment(path), "", *_method(path.stem)]
    return "\n".join(lines) + "\n"


def _method(name: str) -> Iterator[str]:
    parts = method_parts(name)
    yield "| objective | scope | schedule | ratio |"
    yield "|---|---|---|---|"
    yield f"| {' | '.join(f'`{parts[group]}`' for group in ('objective', 'scope', 'schedule', 'ratio'))} |"
    schema = schema_name(CONF / "objective" / f"{parts['objective']}.yaml")
    formula = formulas().get((schema or "").removesuffix("Config"))
    if formula:
        yield ""
        yield f"**Formula.** {_escaped(formula)}"
    note = comment(CONF / "objective" / f"{parts['objective']}.yaml")
    if note:
        yield ""
        yield f"**Objective.** {_escaped(note)}"
    numbers = method_numbers(name)
    if numbers:
        yield ""
        yield f"**Numbers.** {', '.join(f'`{key}={_number(value)}`' for key, value in numbers.items())}"


def _number(value: Any) -> str:
    return "null" if value is None else str(value)


def _escaped(text: str) -> str:
    """Return a text whose asterisks and underscores are no Markdown."""
    return re.sub(r"(?<!`)([*_])(?!`)", r"\\\1", text)
