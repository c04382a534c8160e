"""The sandbox's world: invented stories, people, articles and general knowledge, in the LUME schema."""

import random
import uuid
from collections.abc import Callable
from dataclasses import replace

from unlearning.config.data import WorldConfig
from unlearning.data.corpus import fingerprint
from unlearning.data.rows import Corpus, Document, Kind, Row, Split
from unlearning.sandbox.articles import make_article
from unlearning.sandbox.biographies import make_biography
from unlearning.sandbox.document import SandboxDocument
from unlearning.sandbox.general_knowledge import generate_knowledge
from unlearning.sandbox.names import Names
from unlearning.sandbox.stories import make_story

Identified = tuple[str, SandboxDocument]
"""A document and its identifier."""


def generate(world: WorldConfig) -> Corpus:
    """Return the world of these settings, the same bytes in every process.

    Forget rows, retain rows and documents outside both are draws from one distribution, so what a model knows
    about them differs only by whether it was trained on them.
    """
    rng = random.Random(f"sandbox world {world.seed}")
    names = Names(rng)
    count = world.documents_per_task
    stories = _documents(2 * count, make_story, names, rng)
    biographies = _documents(2 * count, make_biography, names, rng)
    articles = _documents(2 * count + world.nonmember_documents, make_article, names, rng)
    tasks = {"Task1": stories, "Task2": biographies, "Task3": articles}
    knowledge = generate_knowledge(world, names, rng)
    corpus = Corpus(
        forget=_rows(tasks, slice(0, count), Split.FORGET, rng),
        retain=_rows(tasks, slice(count, 2 * count), Split.RETAIN, rng),
        members=_texts(articles[:count]),
        nonmembers=_texts(articles[2 * count :]),
        questions=knowledge.questions,
        examples=knowledge.examples,
        background=knowledge.background,
    )
    return replace(corpus, fingerprint=fingerprint(corpus))


def _documents(
    count: int, draw: Callable[[Names, random.Random], SandboxDocument], names: Names, rng: random.Random
) -> list[Identified]:
    """Return so many documents with new identifiers, no two of which share an answer."""
    documents: list[Identified] = []
    taken: set[str] = set()
    while len(documents) < count:
        document = draw(names, rng)
        if taken.isdisjoint(document.answers):
            taken.update(document.answers)
            documents.append((str(uuid.UUID(int=rng.getrandbits(128), version=4)), document))
    return documents


def _rows(tasks: dict[str, list[Identified]], part: slice, split: Split, rng: random.Random) -> tuple[Row, ...]:
    """Return the rows of one split: tasks mixed, rows of a document side by side, as in the official files."""
    documents = [(task, document) for task, all_of_task in tasks.items() for document in all_of_task[part]]
    rng.shuffle(documents)
    return tuple(row for task, document in documents for row in _rows_of(document, task, split))


def _rows_of(identified: Identified, task: str, split: Split) -> list[Row]:
    """Return the completion row and the question rows of a document."""
    name, document = identified
    completion = Row(f"{name}sc1", document.input, document.output, task, Kind.COMPLETION, split)
    questions = [
        Row(f"{name}qa{number}", question, answer, task, Kind.QUESTION, split)
        for number, (question, answer) in enumerate(document.questions)
    ]
    return [completion, *questions]


def _texts(documents: list[Identified]) -> tuple[Document, ...]:
    """Return the whole documents, for the membership test."""
    return tuple(Document(name, document.text) for name, document in documents)
