"""The probe that asks the forget set's questions in other words, or in another form."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from unlearning.config.probe import Measured
from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Row
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_prompts
from unlearning.probes.phrasings import paraphrases
from unlearning.probes.probe import Measurement, ProbedModel, RowScore

QUESTION, ANSWER = "{question}", "{answer}"


@dataclass(frozen=True)
class Questions:
    """Knowledge when it is asked for differently: a question's score is the mean over all ways to ask it.

    Sources: paraphrases, Maini et al. 2024 (TOFU, arXiv 2401.06121); other forms of a question, in place of other
    languages, Lynch et al. 2024 (arXiv 2402.16835).
    """

    templates: list[str]
    reword: bool

    @property
    def title(self) -> str:
        """The way in which the questions are asked."""
        if self.reword:
            return "questions in other words"
        return "questions as they are" if self.templates == [QUESTION] else "questions in other forms"

    @property
    def measure(self) -> str:
        """The measure of the answers."""
        return MEASURES[Measured.knowledge]

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask every question in every way."""
        asked = [(row, *way) for row in forget_rows(probed.corpus, Measured.knowledge) for way in self.ways(row)]
        prompts = encode_prompts([text for _, text, _ in asked], probed.tokenizer, probed.prompt)
        items = score_prompts(probed, [row for row, _, _ in asked], prompts, [end for _, _, end in asked])
        if not self.reword:
            return Measurement(_means(items))
        rows = {row.id: row for row, _, _ in asked}.values()
        known = sum(bool(paraphrases(row.input)) for row in rows)
        return Measurement(_means(items), notes=[f"paraphrases are known for {known} of {len(rows)} questions"])

    def ways(self, row: Row) -> list[tuple[str, str]]:
        """Return the texts that ask the row's question, each with the text that ends its answer or an empty one."""
        known = paraphrases(row.input) if self.reword else ()
        return [*((text, "") for text in known), *(fill_template(template, row.input) for template in self.templates)]


def fill_template(template: str, question: str) -> tuple[str, str]:
    """Return the prompt that a template makes of a question, and the first character after the answer's place, if any.

    Spaces before the answer's place are left out, since they belong to the answer's first token. A model that fills in
    a form has answered once it goes on with the form, so this character ends its answer.
    """
    before, _, after = template.partition(ANSWER)
    return before.rstrip(" ").replace(QUESTION, question), after[:1]


def _means(items: Sequence[RowScore]) -> list[RowScore]:
    """Return one score for each row, in order: the mean of its scores, with all its answers."""
    rows: dict[str, list[RowScore]] = defaultdict(list)
    for item in items:
        rows[item.id].append(item)
    return [
        RowScore(
            name, found[0].document, fmean(item.score for item in found), " | ".join(str(item.answer) for item in found)
        )
        for name, found in rows.items()
    ]
