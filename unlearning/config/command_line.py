"""The words of a command line before Hydra reads them: `~` is the home folder, and text that needs quotes is named."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from unlearning.errors import InputError

HOME = re.compile(r"""(?<=[=\[,])(\s*["']?)~(?=/)""")
"""A `~` with which a value, or a part of a list, begins."""


def readable_words(words: Sequence[str]) -> list[str]:
    """Return the words with the home folder in place of `~` where a value begins with `~/`.

    Raises InputError for a value that Hydra cannot read, with the quotes with which a shell and Hydra take it.
    """
    expanded = [HOME.sub(lambda found: f"{found[1]}{Path.home()}", word) for word in words]
    parser = OverridesParser.create()
    for word in expanded:
        if "=" in word and not word.startswith("-"):
            _refuse_unreadable(parser, word)
    return expanded


def _refuse_unreadable(parser: OverridesParser, word: str) -> None:
    reason = _fault(parser, word)
    if reason is None:
        return
    key, _, value = word.partition("=")
    quoted = f"{key}={_in_quotes(value)}"
    advice = f"; text with such signs needs two pairs of quotes: {shlex.quote(quoted)}"
    raise InputError(f"{key}: cannot read {value} ({reason}){advice if _fault(parser, quoted) is None else ''}")


def _fault(parser: OverridesParser, word: str) -> str | None:
    """Return in one line why Hydra cannot read the word; None if it can."""
    try:
        parser.parse_override(word)
    except HydraException as error:
        return str(error).splitlines()[0]
    return None


def _in_quotes(value: str) -> str:
    """Return the value, or each part of a list, in double quotes."""
    if value.startswith("[") and value.endswith("]"):
        return f"[{','.join(_in_quotes(part.strip()) for part in value[1:-1].split(','))}]"
    if value.startswith(('"', "'")):
        return value
    return '"' + value.replace('"', '\\"') + '"'
