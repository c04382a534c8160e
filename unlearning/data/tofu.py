"""TOFU (Maini et al. 2024, arXiv 2401.06121): questions about 200 authors who do not exist.

Hugging Face data set locuslab/TOFU; fields question, answer, and in the *_perturbed configurations perturbed_answer (a
list of wrong answers) and, but for real authors and world facts, paraphrased_answer. The configurations holdout* have
the authors that no model has learned (open-unlearning's membership test, arXiv 2506.12618).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unlearning.data.located_row import LocatedRow
from unlearning.data.question_rows import fill_template, question_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Corpus, Row, Split, TofuQuestion, TofuSets
from unlearning.data.sources import read_records
from unlearning.errors import InputError


@dataclass(frozen=True)
class TofuReader(FileReader):
    """Reads questions and answers as rows, and the sets of questions with wrong answers.

    `forget_set` and `retain_set` only name the published files in conf/data/tofu.yaml.
    """

    forget_set: str = "forget10"
    retain_set: str = "retain90"
    question_template: str = "{question}"
    forget_questions: str | None = None
    retain_questions: str | None = None
    real_authors: str | None = None
    world_facts: str | None = None
    holdout: str | None = None

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the questions and answers of all sources, as `question_rows` writes them."""
        return question_rows(sources, split, "question", "answer", self.question_template)

    def read_all(self) -> Corpus:
        """Return the rows, the questions with wrong answers, and the holdout.

        Raises InputError also if a record of these lacks a field or has no wrong answer, or if there is a holdout
        without `forget_questions`, whose answers it is compared with.
        """
        if self.holdout and not self.forget_questions:
            raise InputError(f"data.holdout={self.holdout}: data.forget_questions is null; must be given with it")
        corpus = super().read_all()
        sets = TofuSets(
            forget=self._questions("forget", self.forget_questions, "paraphrased_answer"),
            retain=self._questions("retain", self.retain_questions, "paraphrased_answer"),
            # Their answers have no paraphrase; the released code takes the answer itself.
            real_authors=self._questions("real_authors", self.real_authors, "answer"),
            world_facts=self._questions("world_facts", self.world_facts, "answer"),
            holdout=self._holdout(),
        )
        return replace(corpus, tofu=None if sets == TofuSets() else sets)

    def _questions(self, name: str, source: str | None, paraphrase: str) -> tuple[TofuQuestion, ...]:
        records = () if source is None else read_records(source)
        return tuple(
            _question(record, f"{name}/{number}", paraphrase, self.question_template)
            for number, record in enumerate(records)
        )

    def _holdout(self) -> tuple[Row, ...]:
        located = question_rows(
            [self.holdout] if self.holdout else [], Split.RETAIN, "question", "answer", self.question_template
        )
        return tuple(replace(item.row, id=f"holdout/{number}") for number, item in enumerate(located))


def _question(record: Record, name: str, paraphrase: str, template: str) -> TofuQuestion:
    require_fields(record, ["question", "answer", paraphrase, "perturbed_answer"])
    wrong = record.fields["perturbed_answer"]
    if not isinstance(wrong, list) or not wrong:
        raise record.error(f"perturbed_answer is {excerpt(wrong)}; must be a list of one text or more")
    listed = Record(record.place, {f"perturbed_answer[{index}]": text for index, text in enumerate(wrong)})
    return TofuQuestion(
        id=name,
        question=fill_template(template, text_field(record, "question")),
        answer=text_field(record, "answer"),
        paraphrase=text_field(record, paraphrase),
        wrong=tuple(text_field(listed, field) for field in listed.fields),
    )
