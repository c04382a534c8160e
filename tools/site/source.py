"""Docstrings of fields and of enum members, which Python keeps only in the source."""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any


@cache
def member_docs(owner: type[Any]) -> dict[str, str]:
    """Return the text below each field or member of a class, on one line, by its name; "" where there is none."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, following in zip(body.body, [*body.body[1:], None], strict=True):
        name = _assigned(statement)
        if name is not None:
            found[name] = _text(following)
    return found


def first_paragraph(text: str) -> str:
    """Return a docstring's text up to its first blank line, on one line."""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def _assigned(statement: ast.stmt) -> str | None:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    return target.id if isinstance(target, ast.Name) else None


def _text(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""
