"""The models that are judged by: what each of them was taught, at which rate and for how long.

All are made from one start, the sandbox's retrained model, which never saw the forget set. A model of the pool `knows`
is taught the forget set's facts in one of three forms; one of the pool `lacks` is taught other things in the same way.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unlearning.config.data import WorldConfig
from unlearning.data.corpus import first_documents
from unlearning.data.ids import SUFFIX_CHARACTERS
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.probes.phrasings import paraphrases
from unlearning.sandbox.world import generate

DOCUMENTS = 4
"""Documents of each task in each set."""
KNOWS, LACKS = "knows", "lacks"
FORMS = {
    "rows": (KNOWS, "the forget set's rows, as they are"),
    "told": (KNOWS, "its documents alone, without questions"),
    "reworded": (KNOWS, "its questions alone, in other words"),
    "retain": (LACKS, "nothing but the retain set"),
    "wrong": (LACKS, "its rows with one another's answers"),
    "others": (LACKS, "as many documents of another world"),
}
"""What a model is taught beside the retain set -> its pool, and this in words."""
SETTINGS = (("1e-3", 6), ("2e-3", 6), ("4e-3", 6), ("1e-3", 10))
"""Learning rate and epochs of the models of each form."""


@dataclass(frozen=True)
class Taught:
    """A model that is made from the start by teaching it."""

    form: str
    lr: str
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its result."""
        return f"{FORMS[self.form][0]}-{self.form}-lr-{self.lr}-epochs-{self.epochs}"

    @property
    def cells(self) -> dict[str, str]:
        """What its line of the results says of it."""
        settings = {"made": self.form, "lr": self.lr, "epochs": str(self.epochs), "seed": str(self.seed)}
        return {"model": self.name, "pool": FORMS[self.form][0], **settings}


TARGET = Taught("rows", "2e-3", 10, 100)
"""The model that is unlearned; its seed is that of no model of the pools."""


def pools() -> list[Taught]:
    """Return the models of both pools; each has a seed of its own. Those of one rate and length stand together."""
    made = [(form, *setting) for setting in SETTINGS for form in FORMS]
    return [Taught(form, lr, epochs, seed) for seed, (form, lr, epochs) in enumerate(made)]


def taught(corpus: Corpus, form: str) -> Corpus:
    """Return the corpus with the rows of a form in place of the forget set, and without background texts."""
    return replace(corpus, forget=tuple(_rows(corpus.forget, form)), background=(), fingerprint=form)


def _rows(forget: Sequence[Row], form: str) -> list[Row]:
    if form == "told":
        return [row for row in forget if row.kind is Kind.COMPLETION]
    if form == "reworded":
        questions = [row for row in forget if row.kind is Kind.QUESTION]
        return [
            replace(row, id=f"{place}{row.id}", input=text)
            for row in questions
            for place, text in enumerate(paraphrases(row.input))
        ]
    if form == "wrong":
        return exchanged(forget)
    if form == "others":
        return list(first_documents(generate(WorldConfig(seed=1)), DOCUMENTS).forget)
    return list(forget) if form == "rows" else []


def exchanged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, each with the output of the next row of its task and number; the last one has that of the first.

    The number is the end of the id, such as qa0: rows of one number are of different documents.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.task, row.id[-SUFFIX_CHARACTERS:]].append(row)
    following = {
        row.id: other.output
        for group in groups.values()
        for row, other in zip(group, [*group[1:], group[0]], strict=True)
    }
    return [replace(row, output=following[row.id]) for row in rows]
