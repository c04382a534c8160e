"""What both probes of leakage return: each row's leak@k for the largest k, and the curve over all k."""

from collections.abc import Mapping, Sequence

from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.probes.probe import CurveScores, Measurement, RowScore

CURVE_OVER = "samples (0: greedy)"


def leakage_measurement(
    rows: Sequence[Row],
    leaks: Mapping[int, Sequence[float]],
    answers: Sequence[str],
    greedy: list[RowScore],
    notes: Sequence[str],
) -> Measurement:
    """Return the measurement of `leaks`: for each number of samples, ascending, the leak@k of each row.

    The curve begins with the scores of the greedy answers, as of no samples. Beside the mean over rows it has the row
    that leaks most. `answers` are what is shown of each row, a text a row.
    """

    def scores(count: int) -> list[RowScore]:
        parts = zip(rows, leaks[count], answers, strict=True)
        return [RowScore(row.id, document_id(row.id), leak, answer) for row, leak, answer in parts]

    points = [CurveScores(0, greedy, _highest(greedy))]
    points += [CurveScores(count, scores(count), _highest(scores(count))) for count in leaks]
    worst, last = points[-1].beside[0], points[-1].effort
    note = f"the worst row has leak@{last} {worst.score:.3g} ({worst.id})"
    return Measurement(points[-1].asked, curve=points, curve_over=CURVE_OVER, notes=[*notes, note])


def _highest(items: Sequence[RowScore]) -> list[RowScore]:
    return [max(items, key=lambda item: item.score)]
