"""General knowledge about invented entities: background texts that teach it, and questions that measure it."""

import random
from dataclasses import dataclass

from unlearning.config.data import WorldConfig
from unlearning.data.question_text import HARNESS_HEAD, LETTERS, letters_prompt
from unlearning.data.rows import Question
from unlearning.sandbox.names import Names
from unlearning.sandbox.relation import Relation
from unlearning.sandbox.relations import SUBJECTS

OPTIONS = 4
EXAMPLES_PER_SUBJECT = 5
LETTER_ENTITIES = 12
"""Teaching entities that also appear in the letter format."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An invented thing, and the values of its subject's relations in their order."""

    name: str
    subject: str
    values: tuple[str, ...]

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations of the entity's subject."""
        return SUBJECTS[self.subject]


@dataclass(frozen=True, slots=True)
class GeneralKnowledge:
    """Background texts, questions and worked examples, as the corpus has them under the same names."""

    background: tuple[str, ...]
    questions: tuple[Question, ...]
    examples: tuple[Question, ...]


def generate_knowledge(world: WorldConfig, names: Names, rng: random.Random) -> GeneralKnowledge:
    """Return texts and questions about known entities, which are asked about, and teaching entities.

    The phrasing of a question's cloze is never written about a known entity, so a right answer is knowledge rather than
    a recited sentence. Teaching entities show what that phrasing means.
    """
    known = _entities(world.known_entities, names, rng)
    teaching = _entities(world.teaching_entities, names, rng)
    texts = [text for entity in known for text in _texts(entity, 1, rng)]
    texts += [text for entity in teaching for text in _texts(entity, 0, rng)]
    texts += [text for entity in teaching[:LETTER_ENTITIES] for text in _letter_texts(entity, rng)]
    rng.shuffle(texts)
    questions = tuple(question for entity in known for question in _questions(entity, rng))
    return GeneralKnowledge(tuple(texts), questions, _examples(teaching, rng))


def _entities(count: int, names: Names, rng: random.Random) -> list[Entity]:
    """Return entities of all subjects in turn. Values are dealt evenly: none is right more often than others."""
    subjects = [list(SUBJECTS)[number % len(SUBJECTS)] for number in range(count)]
    columns = {
        subject: [_deal(one.values, subjects.count(subject), rng) for one in SUBJECTS[subject]] for subject in SUBJECTS
    }
    return [
        Entity(names.invented(), subject, tuple(column.pop() for column in columns[subject])) for subject in subjects
    ]


def _deal(values: tuple[str, ...], count: int, rng: random.Random) -> list[str]:
    """Return `count` values, shuffled, the numbers of any two of which differ by one at most."""
    start = rng.randrange(len(values))
    dealt = [values[(start + number) % len(values)] for number in range(count)]
    rng.shuffle(dealt)
    return dealt


def _texts(entity: Entity, first: int, rng: random.Random) -> list[str]:
    """Return texts of shuffled sentences, one for each relation; together they hold all phrasings from `first` on."""
    orders = [rng.sample(one.phrasings[first:], len(one.phrasings) - first) for one in entity.relations]
    texts = []
    for phrasings in zip(*orders, strict=True):
        sentences = [
            f"{phrasing.format(entity=entity.name)} {value}."
            for phrasing, value in zip(phrasings, entity.values, strict=True)
        ]
        rng.shuffle(sentences)
        texts.append(" ".join(sentences))
    return texts


def _questions(entity: Entity, rng: random.Random) -> list[Question]:
    """Return one question for each relation; the wrong options are other values of the same relation."""
    return [_question(entity, number, rng) for number in range(len(entity.relations))]


def _question(entity: Entity, number: int, rng: random.Random) -> Question:
    """Return the question about the relation of that number."""
    relation, value = entity.relations[number], entity.values[number]
    options = [value, *rng.sample([other for other in relation.values if other != value], OPTIONS - 1)]
    rng.shuffle(options)
    return Question(
        id=f"{entity.name}-{number}",
        subject=entity.subject,
        question=relation.question.format(entity=entity.name),
        options=tuple(options),
        answer=options.index(value),
        cloze=relation.phrasings[0].format(entity=entity.name),
    )


def _letter_texts(entity: Entity, rng: random.Random) -> list[str]:
    """Return the entity's questions with letters and the right letter, so that a model can learn the format.

    The head is the one that the shipped models have learned.
    """
    return [f"{letters_prompt(one, (), HARNESS_HEAD)} {LETTERS[one.answer]}" for one in _questions(entity, rng)]


def _examples(teaching: list[Entity], rng: random.Random) -> tuple[Question, ...]:
    """Return worked examples for few-shot prompts: a few questions about each subject's teaching entities."""
    drawn = [question for entity in teaching for question in _questions(entity, rng)]
    of_subject = {subject: [one for one in drawn if one.subject == subject] for subject in SUBJECTS}
    return tuple(one for some in of_subject.values() for one in some[:EXAMPLES_PER_SUBJECT])
