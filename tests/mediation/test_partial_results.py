"""Finished facts survive a kill, and facts of another trace are never taken for them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.mediation.builders import close
from tests.mediation.fabricated import fact_trace
from unlearning.mediation.partial_results import PartialResults, path_of_rank, read_partial_results
from unlearning.mediation.result import FactTrace

KEY = "0" * 64
THIRD = 1 / 3


def made(name: str, value: float = THIRD, foil: bool = True) -> FactTrace:
    """Return a fact of two restorations, two layers, one site and one draw; 1/3 shows if floats keep all digits."""
    numbers = value * np.arange(1, 5).reshape(2, 2, 1, 1)
    placebo = None if name == "no placebo" else numbers[:, :, 0] - 1
    return fact_trace(name, f"person {name}", value, [-value], numbers, foil=foil, placebo=placebo)


FACTS = [made("a"), made("b", 1e-300, foil=False), made("no placebo", 1e17 / 3), made("Zoë \u2028\n\x85 李")]


def same(found: dict[str, FactTrace], wanted: list[FactTrace]) -> bool:
    """Return whether the facts are the same, in the same order and to the bit."""
    return list(found) == [trace.fact for trace in wanted] and all(
        close(found[trace.fact], trace, 0) for trace in wanted
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "facts.partial.jsonl"


def test_what_is_appended_is_found_again(path: Path) -> None:
    journal = PartialResults(path, KEY)
    assert journal.finished == {}
    journal.append(FACTS[:1])
    journal.append(FACTS[1:])
    assert same(journal.finished, FACTS)
    assert same(PartialResults(path, KEY).finished, FACTS)
    assert same(read_partial_results(path, KEY), FACTS)
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 2 + len(FACTS)
    assert json.loads(lines[0]) == {"key": KEY}
    # The file is plain JSON, which has no NaN.
    json.loads(lines[2], parse_constant=pytest.fail)


def test_each_append_is_on_disk_at_once(path: Path) -> None:
    journal = PartialResults(path, KEY)
    for count, trace in enumerate(FACTS, 1):
        journal.append([trace])
        assert same(read_partial_results(path, KEY), FACTS[:count])


def test_no_file_no_facts(path: Path) -> None:
    assert read_partial_results(path, KEY) == {}
    assert not path.exists()


def test_another_fingerprint_begins_afresh(path: Path) -> None:
    PartialResults(path, KEY).append(FACTS)
    assert read_partial_results(path, "other") == {}
    journal = PartialResults(path, "other")
    assert journal.finished == {}
    assert read_partial_results(path, KEY) == {}
    journal.append(FACTS[:1])
    assert same(read_partial_results(path, "other"), FACTS[:1])


@pytest.mark.parametrize("cut", [1, 2, 30, 0.5, -1])
def test_a_line_that_was_torn_is_thrown_away(path: Path, cut: float) -> None:
    """A kill may cut the last line. The facts before it stay, and what is appended afterwards is whole."""
    PartialResults(path, KEY).append(FACTS[:3])
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    last = len(lines[-1])
    keep = {0.5: last // 2, -1: last - 1}.get(cut, int(cut))
    path.write_bytes(content[: len(content) - last + keep])
    journal = PartialResults(path, KEY)
    assert same(journal.finished, FACTS[:2])
    journal.append(FACTS[3:])
    assert same(read_partial_results(path, KEY), [*FACTS[:2], FACTS[3]])


@pytest.mark.parametrize(
    "broken",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"7\n",
        b'"text"\n',
        b"\xff\xfe\n",
        b'{"key": "' + KEY.encode() + b'"}\n',
        b"\x00\x00\x00\x00\n",
    ],
)
def test_nothing_behind_a_broken_line_is_trusted(path: Path, broken: bytes) -> None:
    PartialResults(path, KEY).append(FACTS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], broken, *lines[3:]]))
    assert same(read_partial_results(path, KEY), FACTS[:2])
    PartialResults(path, KEY)
    assert path.read_bytes() == b"".join(lines[:3])


@pytest.mark.parametrize("change", ["clean", "sites", "patched", "person", "tokens", "placebo"])
def test_a_fact_that_lacks_something_is_broken(path: Path, change: str) -> None:
    PartialResults(path, KEY).append(FACTS[:2])
    lines = path.read_text().splitlines(keepends=True)
    whole = json.loads(lines[2])
    del whole[change]
    path.write_text("".join([*lines[:2], json.dumps(whole) + "\n"]))
    assert same(read_partial_results(path, KEY), FACTS[:1])


@pytest.mark.parametrize("content", [b"", b"\n", b"not JSON\n", b'{"key": "' + KEY.encode() + b'"}', b"\xff"])
def test_a_broken_header_is_no_journal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert read_partial_results(path, KEY) == {}
    PartialResults(path, KEY).append(FACTS)
    assert same(read_partial_results(path, KEY), FACTS)


def test_a_fact_measured_again_stays_in_its_place_with_its_new_numbers(path: Path) -> None:
    journal = PartialResults(path, KEY)
    journal.append(FACTS[:2])
    again = made("a", 0.5)
    journal.append([again, FACTS[2]])
    wanted = [again, *FACTS[1:3]]
    assert same(journal.finished, wanted)
    assert same(read_partial_results(path, KEY), wanted)
    PartialResults(path, KEY).absorb()
    assert len(path.read_text().splitlines()) == 4


def test_files_of_other_processes_lie_beside(path: Path) -> None:
    assert path_of_rank(path, 3) == path.with_name("facts.partial.rank3.jsonl")


def test_absorbing_takes_over_what_others_wrote(path: Path) -> None:
    journal = PartialResults(path, KEY)
    journal.append(FACTS[:1])
    PartialResults(path_of_rank(path, 1), KEY).append(FACTS[1:2])
    PartialResults(path_of_rank(path, 2), KEY).append(FACTS[2:])
    stranger = path.with_name("exact.partial.rank1.jsonl")
    stranger.write_text("of another journal\n")
    journal.absorb()
    assert same(journal.finished, FACTS)
    assert same(read_partial_results(path, KEY), FACTS)
    assert sorted(item.name for item in path.parent.iterdir()) == sorted([path.name, stranger.name])


def test_what_others_wrote_for_another_trace_is_removed(path: Path) -> None:
    PartialResults(path_of_rank(path, 1), "other").append(FACTS[1:2])
    path_of_rank(path, 2).write_bytes(b"\xff torn")
    journal = PartialResults(path, KEY)
    journal.append(FACTS[:1])
    journal.absorb()
    assert same(read_partial_results(path, KEY), FACTS[:1])
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_line_of_another_process(path: Path) -> None:
    PartialResults(path_of_rank(path, 1), KEY).append(FACTS[:2])
    whole = path_of_rank(path, 1).read_bytes()
    path_of_rank(path, 1).write_bytes(whole[:-7])
    journal = PartialResults(path, KEY)
    journal.absorb()
    assert same(journal.finished, FACTS[:1])


def test_a_kill_while_absorbing_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of other processes are removed only after their facts are written."""
    PartialResults(path_of_rank(path, 1), KEY).append(FACTS[1:])
    journal = PartialResults(path, KEY)
    journal.append(FACTS[:1])

    def killed(_self: Path, missing_ok: bool = False) -> None:
        if not missing_ok:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        journal.absorb()
    monkeypatch.undo()
    again = PartialResults(path, KEY)
    assert same(again.finished, FACTS)
    again.absorb()
    assert same(again.finished, FACTS)
    assert list(path.parent.iterdir()) == [path]
