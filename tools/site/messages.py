"""The list of all messages with which something is refused, from the code that refuses."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.site.stacked import stacked

ROOT = Path(__file__).parent.parent.parent
HEAD = """Made from the code. A message is one line: what, where, and what is allowed. Search this page for a few of its
words; … stands for what depends on the case. What a message advises works, in the same folder too: see
[refusals](../refusals.md)."""
RAISED = ("InputError", "InUseError", "NotWrittenError", "DivergedError", "error")


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each refusal in a file; "…" stands for what is filled in."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)) if "raise " in source else ():
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
            text = _template(node.exc.args[0])
            if name in RAISED and text.strip("… :"):
                yield node.lineno, text


def _template(node: ast.expr) -> str:
    """Return the text of an expression with "…" for each part that is only known when it is raised."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Call) and node.args:
        return _template(node.args[0])
    return "…"


def page() -> str:
    """Return the page of all messages as Markdown, by the room whose code refuses."""
    lines = ["# Every message", "", HEAD]
    for room in sorted(path for path in (ROOT / "unlearning").iterdir() if path.is_dir()):
        rows = [
            f"| {text.replace('|', chr(92) + '|').replace('<', '&lt;')} | `{path.relative_to(ROOT / 'unlearning')}` |"
            for path in sorted(room.rglob("*.py"))
            for _, text in messages(path)
        ]
        if rows:
            lines += ["", f"## {room.name}", "", *stacked(["| message | where |", "|---|---|", *rows])]
    return "\n".join(lines) + "\n"
