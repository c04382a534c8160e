"""Task3: very short encyclopaedic articles on invented subjects, each with one question."""

import random

from unlearning.sandbox.article_kinds import CITIES, KINDS, LEADS, NATIONS, Kind
from unlearning.sandbox.biographies import MONTHS
from unlearning.sandbox.draft import Draft, cut
from unlearning.sandbox.names import Names


def _day(rng: random.Random, first_year: int, last_year: int) -> str:
    """A date such as "12 March 1874"."""
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(first_year, last_year)}"


def _subject(kind: Kind, names: Names, rng: random.Random) -> dict[str, str]:
    """What every sentence of an article has in common."""
    name = names.person() if kind.person else names.invented()
    noun, other = rng.sample(kind.nouns, 2)
    title = name if kind.person else kind.title.format(name=name, noun=noun)
    return {"name": name, "title": title, "noun": noun, "other": other, "nation": rng.choice(NATIONS)}


def _particulars(names: Names, rng: random.Random) -> dict[str, str]:
    """Values for everything else that a sentence can mention; drawn anew for each, so that none repeats."""
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


def draft_article(names: Names, rng: random.Random) -> Draft:
    """Title, lead and two details, all drawn independently; the question asks about one of the details."""
    kind = rng.choice(KINDS)
    subject = _subject(kind, names, rng)
    lead = rng.choice(LEADS[kind.person]).format_map(subject | _particulars(names, rng))
    details = [(detail, subject | _particulars(names, rng)) for detail in rng.sample(kind.details, 2)]
    sentences = [lead, *(detail.text.format_map(slots) for detail, slots in details)]
    start, rest = cut(f"{subject['title']}\n\n{' '.join(sentences)}", (0.45, 0.55), rng)
    asked, slots = rng.choice(details)
    return Draft(start, rest, ((asked.question.format_map(slots), asked.answer.format_map(slots)),))
