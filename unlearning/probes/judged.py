"""The probe that lets a judge score whole answers: an open door for a language model outside."""

from dataclasses import dataclass

from unlearning.config.probe import Measured
from unlearning.data.ids import document_id
from unlearning.identity import settings_hash
from unlearning.probes.forget_answers import forget_rows, whole_answers
from unlearning.probes.judge import Judge, KeptJudgements, command_judge, function_judge
from unlearning.probes.probe import Measurement, ProbedModel, RowScore
from unlearning.progress.shown import shown_progress


@dataclass(frozen=True)
class Judged:
    """The mean score that a user's judge gives to greedy answers, which are asked for plainly and never cut short.

    The judge is a function (`function`, by its dotted name), or a command that is started for each answer; see `judge`.
    Each judgement is kept in the cache under the judge's name, `version`, and the texts: other runs take it from there.
    """

    function: str | None
    command: list[str]
    version: str
    timeout_seconds: float
    measured: Measured

    @property
    def title(self) -> str:
        """The judge."""
        return f"whole answers, scored by {self.function or self.command[0]}"

    @property
    def measure(self) -> str:
        """The measure of the answers."""
        return "judge's score"

    def judge(self) -> Judge:
        """Return the judge. Raises InputError where it cannot be found."""
        if self.function is not None:
            return function_judge(self.function)
        return command_judge(self.command, self.timeout_seconds)

    def run(self, probed: ProbedModel) -> Measurement:
        """Return the judge's score of each row. Raises InputError where the judge fails, or gives no score."""
        judge, rows = self.judge(), forget_rows(probed.corpus, self.measured)
        texts = whole_answers(probed, rows)
        name = " ".join(filter(None, (self.function or " ".join(self.command), self.version)))
        folder = probed.cache_dir
        kept = KeptJudgements(None if folder is None else folder / "judgements" / f"{settings_hash(name)[:16]}.jsonl")
        items = []
        with shown_progress("judgements", len(rows)) as advance:
            for row, text in zip(rows, texts, strict=True):
                score = kept.score(judge, name, (row.input, row.output, text))
                items.append(RowScore(row.id, document_id(row.id), score, text))
                advance(1)
        return Measurement(items)
