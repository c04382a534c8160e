"""The documentation as a site: it builds without a warning, links lead somewhere, and pages say what the code says.

Building the site takes ten seconds, so that its links are followed with -m exhaustive. CI builds it by `make docs`, and
there MkDocs compares the links in the sources with pages and headings.
"""

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.command_line import own_logging, run_command
from tests.rotation import left_out
from tools.site import choices, keys, messages
from unlearning.config.location import conf_dir
from unlearning.config.registration import ROOTS, schemas

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUNNABLE = re.compile(r"<!-- runnable -->\n```(sh|python)\n(.*?)```", re.DOTALL)


class Links(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.hrefs: set[str] = set()
        self.loaded: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take note of one tag."""
        found = {name: value for name, value in attributes if value}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.hrefs.add(found["href"])
        elif tag in ("script", "img", "link", "iframe"):
            self.loaded |= {found[name] for name in ("src", "href") if name in found}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    """Return the pages of the site, built with every warning as an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    with own_logging():
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return {path: Links(path.read_text()) for path in folder.rglob("*.html")}


def target(page: Path, link: str) -> tuple[Path, str]:
    """Return the file and the place in it that a link of a page leads to."""
    address, place = urldefrag(unquote(link))
    file = (page.parent / address).resolve() if address else page
    return (file / "index.html" if file.is_dir() else file), place


@pytest.mark.exhaustive
def test_every_link_leads_somewhere(site: dict[Path, Links]) -> None:
    """Each link inside the site is to a file that is there, and to a place in it that is there."""
    assert len(site) > len(PAGES)
    dead = []
    for page, links in site.items():
        if page.name == "404.html":  # its links are from the root of a server
            continue
        for link in links.hrefs | links.loaded:
            if not re.match(r"[a-z]+:", link):
                file, place = target(page, link)
                if not file.exists() or (place and file in site and place not in site[file].ids):
                    dead.append(f"{page.name}: {link}")
    assert dead == []


@pytest.mark.exhaustive
def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Links]) -> None:
    """A reader's browser asks no other server for fonts, styles or scripts."""
    assert {link for links in site.values() for link in links.loaded if re.match(r"(https?:)?//", link)} == set()


def test_the_reference_has_every_key() -> None:
    """The page has a row for each field of each schema that a command can have, and says what it means."""
    page, where = keys.page(), keys.prefixes()
    assert set(ROOTS.values()) <= set(where)
    for schema in {schema for _, schema in schemas()} & set(where):
        named = [f"`{where[schema]}{item.name}`" for item in fields(schema) if item.name in schema.__annotations__]
        assert [name for name in named if name not in page and "._" not in name and name != "`_target_`"] == []
    assert re.findall(r"^\| `[^`]+` \| *\|.*", page, re.MULTILINE) == []
    assert re.search(r"^\| `optimizer.lr` \| [^|]* \| number \| `1e-05` \| above 0 \|$", page, re.MULTILINE)
    assert re.search(r"^\| `objective.reduction` \| [^|]* \| choice \| `row` \|", page, re.MULTILINE)


@pytest.mark.parametrize("group", choices.QUESTIONS)
def test_the_reference_has_every_choice(group: str) -> None:
    """The page names each file of a group and says what it is; the page of methods has each preset."""
    section = re.search(rf"^## {group}\n(.*?)(?=^## |\Z)", choices.choices_page(), re.MULTILINE | re.DOTALL)
    assert section
    named = re.findall(r"^\| `([^`]+)` \|", section[1], re.MULTILINE)
    folder = conf_dir() / group
    assert sorted(named) == sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))
    if group == "method":
        page = choices.methods_page()
        assert [name for name in named if f"\n## {name}\n" not in page] == []
        assert page.count("**Formula.**") == len(named)


def test_the_reference_has_every_group() -> None:
    """All groups of conf/, but for Hydra's own and the tuned numbers, which nobody chooses."""
    assert {path.name for path in conf_dir().iterdir() if path.is_dir()} - {"hydra", "tuned"} == set(choices.QUESTIONS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_list_begins_after_an_empty_line(page: Path) -> None:
    """MkDocs, unlike GitHub, takes a list that follows a line of text for a part of that line."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^(?![-*#|<\s]|\d+\. |:::).+\n(?=[-*] |\d+\. ).+", text, re.MULTILINE) == []


def test_the_messages_are_those_of_the_code() -> None:
    """A message of several parts stands whole, with … for what is filled in."""
    page = messages.page()
    assert "…=…: must be …" in page
    assert "scope: no parameter is left to train; choose layers, modules, embeddings or head" in page


def runnable() -> Iterator[tuple[str, str, str]]:
    """Yield the page, the language and the text of each block that is marked as runnable."""
    for page in PAGES:
        for language, text in RUNNABLE.findall(page.read_text()):
            yield page.stem, language, text


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("page", "language", "text"),
    [pytest.param(*block, id=block[0], marks=left_out(block[1] == "python")) for block in runnable()],
)
def test_a_runnable_block_runs(
    page: str, language: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder, each command ends with code 0, and Python code, which runs a model, without an error."""
    if language == "sh":
        for line in text.splitlines():
            command, *words = line.split("#")[0].split()
            ended = run_command(command.removeprefix("unlearn-"), words, tmp_path)
            assert ended.code == 0, ended.err
            assert ended.out
        return
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with own_logging(), redirect_stdout(printed):
        exec(compile(text, f"{page}.md", "exec"), {"__name__": "__main__"})
    assert " -> " in printed.getvalue()
