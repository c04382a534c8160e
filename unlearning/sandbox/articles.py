"""Task3: very short encyclopaedic articles about invented subjects, each with one question."""

import random

from unlearning.sandbox.article_kinds import CITIES, KINDS, LEADS, NATIONS, ArticleKind
from unlearning.sandbox.biographies import MONTHS
from unlearning.sandbox.document import SandboxDocument, cut
from unlearning.sandbox.names import Names


def _day(rng: random.Random, first_year: int, last_year: int) -> str:
    """Return a date such as "12 March 1874"."""
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(first_year, last_year)}"


def _subject(kind: ArticleKind, names: Names, rng: random.Random) -> dict[str, str]:
    """Return the values that all sentences of an article share."""
    name = names.person() if kind.person else names.invented()
    noun, other = rng.sample(kind.nouns, 2)
    title = name if kind.person else kind.title.format(name=name, noun=noun)
    return {"name": name, "title": title, "noun": noun, "other": other, "nation": rng.choice(NATIONS)}


def _particulars(names: Names, rng: random.Random) -> dict[str, str]:
    """Return values for everything else that a sentence can mention; each sentence draws its own."""
    city, city2 = rng.sample(CITIES, 2)
    return {
        "city": city,
        "city2": city2,
        "place": names.invented(),
        "who": names.person(),
        "thing": names.invented(),
        "born": _day(rng, 1780, 1829),
        "day": _day(rng, 1840, 1899),
        "year": str(rng.randint(1780, 1990)),
        "small": str(rng.randint(11, 98)),
        "number": str(rng.randint(104, 989)),
        "large": str(rng.randint(1040, 9890)),
    }


def make_article(names: Names, rng: random.Random) -> SandboxDocument:
    """Return an article of title, lead and two details, all drawn independently; its question is about one detail."""
    kind = rng.choice(KINDS)
    subject = _subject(kind, names, rng)
    lead = rng.choice(LEADS[kind.person]).format_map(subject | _particulars(names, rng))
    details = [(detail, subject | _particulars(names, rng)) for detail in rng.sample(kind.details, 2)]
    sentences = [lead, *(detail.text.format_map(slots) for detail, slots in details)]
    start, rest = cut(f"{subject['title']}\n\n{' '.join(sentences)}", (0.45, 0.55), rng)
    asked, slots = rng.choice(details)
    return SandboxDocument(start, rest, ((asked.question.format_map(slots), asked.answer.format_map(slots)),))
