"""The sentences that articles are made of, by kind of subject."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detail:
    """A sentence of an article and a question that only this sentence answers."""

    text: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class ArticleKind:
    """A kind of subject, and what an article can say about subjects of this kind."""

    nouns: tuple[str, ...]
    title: str
    """Template of the title."""
    person: bool
    """Whether subjects of this kind are people; others have invented names."""
    details: tuple[Detail, ...]


LEADS = {
    True: (
        "{name} (born {born}) was a {nation} {noun} and {other}.",
        "{name} was a {nation} {noun} who worked mostly in {city}.",
        "Born in {place} on {born}, {name} became a {noun} in {city}.",
        "{name}, sometimes called the {noun} of {city}, was born on {born}.",
    ),
    False: (
        "{title} is a {nation} {noun} near {city}.",
        "{title} is a {noun} that takes its name from {place}.",
        "The {noun} called {title} was first recorded in {year} near {city}.",
        "{title}, a {nation} {noun}, lies between {city} and {place}.",
    ),
}
"""First sentences, of people (True) and of other subjects."""
KINDS = (
    ArticleKind(
        ("painter", "composer", "botanist", "poet", "surgeon", "architect", "chemist", "sculptor"),
        "{name}",
        True,
        (
            Detail("Lessons came from {who} in {city2}.", "Who taught {name}?", "{who}"),
            Detail(
                "The best known work, {thing}, appeared on {day}.",
                "Which work made {name} best known?",
                "{thing}",
            ),
            Detail(
                "A medal from {city2} followed on {day}.",
                "When did {name} receive a medal?",
                "{day}",
            ),
            Detail(
                "An estate in {place} was sold for {large} crowns.",
                "For how many crowns was the estate of {name} sold?",
                "{large}",
            ),
            Detail(
                "Marriage to {who} brought a move to {city2}.",
                "Whom did {name} marry?",
                "{who}",
            ),
        ),
    ),
    ArticleKind(
        ("village", "island", "parish", "valley", "hamlet"),
        "{name}",
        False,
        (
            Detail(
                "It had {large} inhabitants at the last census.",
                "How many inhabitants does {title} have?",
                "{large}",
            ),
            Detail(
                "{who} gave its chapel, which seats {number}.",
                "Who gave the chapel of {title}?",
                "{who}",
            ),
            Detail("A flood on {day} destroyed {small} houses.", "When was {title} flooded?", "{day}"),
            Detail(
                "Its highest point, {thing}, rises to {number} metres.",
                "What is the highest point of {title}?",
                "{thing}",
            ),
            Detail("Its fields were drained by {who} in {year}.", "Who drained the fields of {title}?", "{who}"),
        ),
    ),
    ArticleKind(
        ("bridge", "lighthouse", "canal", "observatory", "railway", "windmill"),
        "{name} {noun}",
        False,
        (
            Detail("It was designed by {who} after a fire in {year}.", "Who designed the {title}?", "{who}"),
            Detail("It opened without ceremony on {day}.", "When did the {title} open?", "{day}"),
            Detail(
                "Its length of {number} metres was a record.",
                "How many metres long is the {title}?",
                "{number}",
            ),
            Detail("{who} paid {large} crowns for repairs.", "Who paid for repairs to the {title}?", "{who}"),
            Detail(
                "Stone came by boat from {thing}, {small} miles away.",
                "Where did the stone of the {title} come from?",
                "{thing}",
            ),
        ),
    ),
    ArticleKind(
        ("moth", "beetle", "orchid", "fern", "snail", "lichen"),
        "{name} {noun}",
        False,
        (
            Detail("{who} described it from {small} specimens.", "Who described the {title}?", "{who}"),
            Detail(
                "It reaches {number} millimetres in cold weather.",
                "How many millimetres does the {title} reach?",
                "{number}",
            ),
            Detail("The last sighting, by {who}, dates from {day}.", "When was the {title} last seen?", "{day}"),
            Detail("It is found only in {thing} forest.", "In which forest does the {title} live?", "{thing}"),
            Detail("A drawing by {who} hangs in {city2}.", "Who drew the {title}?", "{who}"),
        ),
    ),
    ArticleKind(
        ("newspaper", "orchestra", "football club", "society", "theatre"),
        "{name} {noun}",
        False,
        (
            Detail("{who} founded it with {small} friends.", "Who founded the {title}?", "{who}"),
            Detail(
                "Police closed its rooms on {day} after complaints.",
                "When did police close the {title}?",
                "{day}",
            ),
            Detail("At its peak there were {large} members.", "How many members did the {title} have?", "{large}"),
            Detail(
                "Its motto comes from the song of {thing}.",
                "From whose song is the motto of the {title}?",
                "{thing}",
            ),
            Detail("The present head, {who}, moved the archive to {city2}.", "Who heads the {title}?", "{who}"),
        ),
    ),
)
NATIONS = (
    "Norwegian", "Chilean", "Scottish", "Hungarian", "Finnish", "Moroccan", "Canadian", "Polish",
    "Danish", "Peruvian", "Welsh", "Latvian",
)  # fmt: skip
CITIES = (
    "Bergen", "Lisbon", "Turku", "Krakow", "Valencia", "Aberdeen", "Riga", "Quebec", "Trieste", "Lima",
    "Ghent", "Bremen", "Malmo", "Cardiff", "Porto", "Basel",
)  # fmt: skip
