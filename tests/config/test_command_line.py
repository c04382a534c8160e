"""What a command line's words mean before Hydra reads them."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from unlearning.config.command_line import readable_words
from unlearning.config.data import KnowundoDataConfig, TofuDataConfig
from unlearning.config.prompt import PromptConfig
from unlearning.errors import InputError

UNREADABLE = ["a=b", "a(1)", "a[1]", "a{1}", "a'b", "a#b", "~x", "a(1), b", "数据", 'a"b(']


def value_of(word: str) -> object:
    """Return what Hydra reads."""
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("form", ["data.members={}", "data.forget=[{}]"])
def test_the_advised_quotes_work(name: str, form: str) -> None:
    """A shell takes the outer pair away, and Hydra reads the text within the inner pair."""
    key, _, value = (word := form.format(f"p/{name}.jsonl")).partition("=")
    with pytest.raises(InputError) as raised:
        readable_words(["seed=1", word])
    message = str(raised.value)
    assert message.startswith(f"{key}: cannot read {value} (")
    (advised,) = shlex.split(message.partition("needs two pairs of quotes: ")[2])
    assert readable_words([advised]) == [advised]
    parts = [f"p/{part}" if place == 0 else part for place, part in enumerate(f"{name}.jsonl".split(", "))]
    assert value_of(advised) == (parts if form.endswith("]") else f"p/{name}.jsonl")


def test_what_no_quotes_mend() -> None:
    """A key that cannot be read is named without advice."""
    with pytest.raises(InputError, match=r"^se\(ed: cannot read 1 \([^;]*\)$"):
        readable_words(["se(ed=1"])


HOMES = [
    ("model.path=~/x", "model.path=HOME/x"),
    ('model.path="~/a=b"', 'model.path="HOME/a=b"'),
    ("data.forget=[~/a.jsonl, ~/b.jsonl,c]", "data.forget=[HOME/a.jsonl, HOME/b.jsonl,c]"),
    ("hydra.run.dir=~/runs", "hydra.run.dir=HOME/runs"),
    ("~trainer", "~trainer"),
    ('model.path="a~/x"', 'model.path="a~/x"'),
]


@pytest.mark.parametrize(("word", "wanted"), HOMES)
def test_the_home_folder(word: str, wanted: str) -> None:
    """A `~` stands for it where a value begins, as in a shell; "~key" removes a key for Hydra."""
    assert readable_words([word]) == [wanted.replace("HOME", str(Path.home()))]


def test_flags_are_not_read() -> None:
    words = ["-m", "--cfg", "job", "--config-dir=a=b(", "seed=1,2"]
    assert readable_words(words) == words


@pytest.mark.parametrize(
    ("written", "meant"), [(r"\n", "\n"), (r"\t->\n\n", "\t->\n\n"), ("\n", "\n"), (" ", " "), ("", "")]
)
def test_line_ends_and_tabs_that_are_written_out(written: str, meant: str) -> None:
    assert PromptConfig(separator=written).separator == meant
    template = f"Question:{written}{{question}}"
    for config in (TofuDataConfig(question_template=template), KnowundoDataConfig(question_template=template)):
        assert config.question_template == f"Question:{meant}{{question}}"
