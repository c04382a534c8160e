"""Lines of progress where there is no terminal, by a clock that the test sets."""

import pytest

from unlearning.progress.measured import Measured, parts_measured
from unlearning.progress.shown import LINE_SECONDS, PartProgress, duration, shown_progress


def test_a_line_says_share_rate_and_time_left() -> None:
    """A line comes once 30 seconds have gone since the last one, whatever is done meanwhile."""
    now, lines = [100.0], list[str]()
    part = PartProgress("generation", 400, lines.append, lambda: now[0])
    for at, more in ((110.0, 20), (129.9, 20), (130.0, 20), (131.0, 10), (160.0, 50), (170.0, 280)):
        now[0] = at
        part.advance(more)
        part.tick()
    assert LINE_SECONDS == 30
    # 60 in 30 s are 2 a second, and 340 are left; 120 in 60 s are 2 a second too.
    assert lines == [
        "  generation: 60 of 400 (15%), 2 a second, 2 min 50 s left",
        "  generation: 120 of 400 (30%), 2 a second, 2 min 20 s left",
    ]
    assert part.measured() == Measured("generation", 400, 70.0)


def test_a_first_item_that_takes_long() -> None:
    """Where nothing is done yet, a line says for how long."""
    now, lines = [0.0], list[str]()
    part = PartProgress("loading", 8, lines.append, lambda: now[0])
    for at in (29.0, 45.0, 59.0, 75.0):
        now[0] = at
        part.tick()
    assert lines == ["  loading: 0 of 8 (0%), 45 s gone", "  loading: 0 of 8 (0%), 1 min 15 s gone"]


def test_parts_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes to its end is noted with its items; a short part prints nothing, and one that fails is not noted."""
    with parts_measured() as parts:
        with shown_progress("memorisation", 5) as advance:
            advance(2)
            advance(3)
        with shown_progress("saving", 7, lambda: 4):
            pass
        with pytest.raises(ZeroDivisionError), shown_progress("failing", 1):
            raise ZeroDivisionError
    with shown_progress("later", 1) as advance:
        advance(1)
    assert [(part.name, part.items) for part in parts] == [("memorisation", 5), ("saving", 7)]
    assert all(part.seconds >= 0 for part in parts)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (725, "12 min 5 s"),
        (12_345, "3 h 25 min"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """Seconds, minutes or hours, whichever a person would say."""
    assert duration(seconds) == words
