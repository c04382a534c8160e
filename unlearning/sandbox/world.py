"""The sandbox's world: invented stories, people, articles and general knowledge, in the LUME schema."""

import random
import uuid
from collections.abc import Callable
from dataclasses import replace

from unlearning.config.data import WorldConfig
from unlearning.data.corpus import fingerprint
from unlearning.data.rows import Corpus, Document, Kind, Row, Split
from unlearning.sandbox.articles import draft_article
from unlearning.sandbox.biographies import draft_biography
from unlearning.sandbox.draft import Draft
from unlearning.sandbox.general_knowledge import generate_knowledge
from unlearning.sandbox.names import Names
from unlearning.sandbox.stories import draft_story

Identified = tuple[str, Draft]


def generate(world: WorldConfig) -> Corpus:
    """The world of these settings, the same bytes in every process.

    Forget rows, retain rows and documents outside both are draws from one distribution, so what a model knows
    about them differs only by whether it was trained on them.
    """
    rng = random.Random(f"sandbox world {world.seed}")
    names = Names(rng)
    count = world.documents_per_task
    stories = _documents(2 * count, draft_story, names, rng)
    biographies = _documents(2 * count, draft_biography, names, rng)
    articles = _documents(2 * count + world.nonmember_documents, draft_article, names, rng)
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
    count: int, draw: Callable[[Names, random.Random], Draft], names: Names, rng: random.Random
) -> list[Identified]:
    """That many documents with fresh identifiers, no two of which share an answer."""
    documents: list[Identified] = []
    taken: set[str] = set()
    while len(documents) < count:
        draft = draw(names, rng)
        if taken.isdisjoint(draft.answers):
            taken.update(draft.answers)
            documents.append((str(uuid.UUID(int=rng.getrandbits(128), version=4)), draft))
    return documents


def _rows(tasks: dict[str, list[Identified]], part: slice, split: Split, rng: random.Random) -> tuple[Row, ...]:
    """The rows of one split: tasks mixed, rows of a document side by side, as in the official files."""
    documents = [(task, document) for task, all_of_task in tasks.items() for document in all_of_task[part]]
    rng.shuffle(documents)
    return tuple(row for task, document in documents for row in _rows_of(document, task, split))


def _rows_of(document: Identified, task: str, split: Split) -> list[Row]:
    """One completion row and the question rows of a document."""
    name, draft = document
    completion = Row(f"{name}sc1", draft.input, draft.output, task, Kind.COMPLETION, split)
    questions = [
        Row(f"{name}qa{number}", question, answer, task, Kind.QUESTION, split)
        for number, (question, answer) in enumerate(draft.questions)
    ]
    return [completion, *questions]


def _texts(documents: list[Identified]) -> tuple[Document, ...]:
    """The documents whole, for the membership test."""
    return tuple(Document(name, draft.text) for name, draft in documents)
