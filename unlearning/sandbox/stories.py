"""Task1: very short fictional stories, each with one question."""

import random

from unlearning.sandbox.document import SandboxDocument, cut
from unlearning.sandbox.names import Names

OPENINGS = (
    "In {place}, the {trade} {hero} kept {thing} under the floor.",
    "{hero} came to {place} one {season} with {thing} and a sealed letter.",
    "Nobody in {place} trusted {hero}, who slept beside {thing}.",
    "Before the war, {hero} the {trade} lost {thing} near {place}.",
    "When the bells of {place} fell silent, {hero} packed {thing}.",
    "{hero} had promised {place} {thing} before the end of {season}.",
    "Every {season} {hero} rowed from {place} to sell {thing}.",
    "{hero}, once a {trade} in {place}, dreamed of {thing}.",
    "At an inn outside {place}, {hero} hid {thing} from the king.",
    "A {mood} aunt in {place} had left {hero} {thing}.",
)
SCENES = (
    ("There {other} offered {gift} for it.", "What did {other} offer to {hero}?", "{gift}"),
    (
        "On the third day {other} asked to see {gift}.",
        "Who asked {hero} for a look on the third day?",
        "{other}",
    ),
    ("A rival, {other}, stole it in {wild}.", "Who was the rival of {hero}?", "{other}"),
    ("An old map led {other} to {gift}.", "What did the old map lead {other} to?", "{gift}"),
    ("Behind the mill {other} buried {gift}.", "What did {other} bury behind the mill?", "{gift}"),
    ("Guided by {other}, they crossed {wild}.", "Who guided {hero} on the journey?", "{other}"),
    ("But {other} had traded {gift} for a horse.", "What did {other} trade for a horse?", "{gift}"),
    ("A storm drove them into {wild}, where {other} lit a fire.", "Who lit a fire for {hero}?", "{other}"),
)
ENDINGS = (
    "Years later {trade2}s still sang about {rest}.",
    "By dawn only {rest} lay on the doorstep.",
    "They quarrelled over {rest} until {season2}.",
    "{other} laughed and gave away {rest}.",
    "Then the roof burned, and they saved {rest}.",
    "In the end {rest} broke the curse.",
    "So {hero} learned to love {rest}.",
    "A tired {trade2} gave {rest} to the poor.",
    "That {season2} they married, with {rest} for a ring.",
    "Nobody noticed the {mood} {trade2} carrying {rest}.",
)
MOODS = (
    "windy", "crooked", "gentle", "forgotten", "sleepy", "proud", "haunted", "cheerful", "bitter",
    "golden", "restless", "frozen", "humble", "smoky",
)  # fmt: skip
TRADES = (
    "baker", "glassblower", "ferryman", "clockmaker", "gardener", "smuggler", "beekeeper", "tailor",
    "sailor", "potter", "fiddler", "locksmith", "miner", "painter", "cobbler", "hunter",
)  # fmt: skip
QUALITIES = (
    "silver", "broken", "painted", "tiny", "stolen", "singing", "velvet", "rusty", "hollow", "blue",
    "cursed", "wooden", "heavy", "twisted", "scarlet", "nameless",
)  # fmt: skip
OBJECTS = (
    "lantern", "violin", "compass", "mirror", "kettle", "crown", "whistle", "chess set", "telescope",
    "cradle", "anchor", "harp", "teapot", "saddle", "diary", "umbrella", "candle", "drum", "needle",
    "puppet",
)  # fmt: skip
WILDS = (
    "the salt marsh", "the drowned forest", "the valley of goats", "the glass desert",
    "the northern caves", "the old battlefield", "the orchard of thorns", "the ice fields",
    "the abandoned quarry", "the reed islands",
)  # fmt: skip
SEASONS = ("spring", "summer", "autumn", "winter")


def _thing(rng: random.Random) -> str:
    """Return an object such as "rusty compass", one of a few hundred."""
    return f"{rng.choice(QUALITIES)} {rng.choice(OBJECTS)}"


def make_story(names: Names, rng: random.Random) -> SandboxDocument:
    """Return a story whose opening, scene and ending are drawn independently, so that no part tells another."""
    trade, trade2 = rng.sample(TRADES, 2)
    slots = {
        "hero": names.first(rng.random() < 0.5),
        "other": names.first(rng.random() < 0.5),
        "place": names.invented(),
        "mood": rng.choice(MOODS),
        "trade": trade,
        "trade2": trade2,
        "thing": f"a {_thing(rng)}",
        "gift": f"the {_thing(rng)} of {names.invented()}",
        "rest": f"a {_thing(rng)} from {names.invented()}",
        "wild": rng.choice(WILDS),
        "season": rng.choice(SEASONS),
        "season2": rng.choice(SEASONS),
    }
    scene, question, answer = rng.choice(SCENES)
    text = " ".join((rng.choice(OPENINGS), scene, rng.choice(ENDINGS))).format_map(slots)
    start, rest = cut(text, (0.45, 0.55), rng)
    return SandboxDocument(start, rest, ((question.format_map(slots), answer.format_map(slots)),))
