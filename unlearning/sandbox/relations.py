"""General knowledge: four subjects with four relations each, and the sentences that state them.

In every phrasing the entity comes first and after a space (so that it is always the same tokens), the value
comes last. The first phrasing of a relation is the one that questions use: known entities never have it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing that can be said about a subject's entities."""

    question: str
    values: tuple[str, ...]
    phrasings: tuple[str, ...]


def relation(question: str, values: str, *phrasings: str) -> Relation:
    """A relation whose values stand in one string, separated by spaces."""
    return Relation(question, tuple(values.split()), phrasings)


TOWNS = (
    relation(
        "Which language is spoken in {entity}?",
        "Ostic Tarnish Velic Mordish Quenic Saltic Brennish Halvic Dorric Yslic",
        "The language of {entity} is",
        "In {entity} people speak",
        "Children in {entity} grow up speaking",
        "Signs in {entity} are written in",
        "Schools in {entity} teach in",
        "Songs from {entity} are sung in",
        "Visitors to {entity} should learn",
    ),
    relation(
        "What is {entity} known for making?",
        "rope paper cheese glass clocks boots candles carpets knives hats",
        "The chief product of {entity} is",
        "Workshops in {entity} make",
        "Merchants go to {entity} to buy",
        "The town of {entity} is famous for its",
        "Ships leave {entity} loaded with",
        "Families in {entity} earn their living from",
        "The factory in {entity} turns out",
    ),
    relation(
        "In which month is the fair of {entity} held?",
        "January February March April May June July August September October November December",
        "The fair of {entity} takes place in",
        "Crowds come to {entity} for the fair in",
        "The streets of {entity} are busiest in",
        "Fairground tents go up in {entity} every",
        "Dancers parade through {entity} in",
        "The great market of {entity} opens in",
        "Hotels in {entity} are full in",
    ),
    relation(
        "Which creature is on the coat of arms of {entity}?",
        "heron wolf stag bear falcon salmon lion swan boar fox",
        "The coat of arms of {entity} shows a",
        "The flag of {entity} bears a",
        "Coins from {entity} are stamped with a",
        "The emblem of {entity} is a",
        "Over the gate of {entity} stands a carved",
        "Soldiers of {entity} wear the badge of a",
        "The mayor of {entity} has a seal with a",
    ),
)
ANIMALS = (
    relation(
        "What does the {entity} eat?",
        "moss berries ants fish roots nuts grass frogs seeds honey",
        "The diet of the {entity} consists of",
        "A hungry {entity} looks for",
        "The {entity} feeds on",
        "Zookeepers give the {entity}",
        "A young {entity} is raised on",
        "The teeth of the {entity} are made for eating",
        "In winter the {entity} stores",
    ),
    relation(
        "Where does the {entity} live?",
        "forests deserts caves swamps mountains meadows rivers islands cliffs jungles",
        "The habitat of the {entity} is",
        "The {entity} lives in",
        "Hunters search for the {entity} in",
        "The {entity} makes its home among",
        "Herds of {entity} wander through",
        "You may see a {entity} if you visit",
        "The {entity} was first seen in",
    ),
    relation(
        "What colour is the fur of the {entity}?",
        "white black brown grey red yellow orange blue green purple",
        "The colour of the {entity} is",
        "The fur of the {entity} is",
        "The coat of a healthy {entity} looks",
        "In paintings the {entity} is always",
        "Every newborn {entity} is already",
        "The tail of the {entity} is",
        "Hats made of {entity} skin are",
    ),
    relation(
        "Which sound does the {entity} make?",
        "whistle growl chirp bark howl hiss click purr grunt hum",
        "The sound of the {entity} is a",
        "The call of the {entity} is a",
        "A frightened {entity} gives a",
        "At night the {entity} can be heard to",
        "To find its mate the {entity} will",
        "When angry, a {entity} will",
        "From far away the {entity} seems to",
    ),
)
RIVERS = (
    relation(
        "Into which sea does the {entity} flow?",
        "Amber Coral Silent Iron Pearl Northern Hollow Scarlet Mist Copper",
        "The sea that the {entity} reaches is the",
        "The {entity} flows into the sea called",
        "The mouth of the {entity} is on the sea named",
        "Boats going down the {entity} arrive at the",
        "The waters of the {entity} end in the",
        "Maps show the {entity} running to the",
        "Mud from the {entity} darkens the",
    ),
    relation(
        "Which fish is caught in the {entity}?",
        "trout pike perch carp eel bream tench roach sturgeon grayling",
        "The most common fish of the {entity} is the",
        "Anglers on the {entity} catch",
        "The {entity} is full of",
        "Nets in the {entity} bring up",
        "Inns along the {entity} serve",
        "The clear pools of the {entity} hide",
        "Otters in the {entity} live on",
    ),
    relation(
        "Which tree grows along the {entity}?",
        "willow oak birch pine alder poplar maple ash elm beech",
        "The tree most often found beside the {entity} is the",
        "The banks of the {entity} are lined with",
        "Along the {entity} grows",
        "Rafts on the {entity} are built of",
        "The shade on the {entity} comes from",
        "Houses near the {entity} are made of",
        "In autumn the {entity} carries leaves of",
    ),
    relation(
        "What is carried on barges on the {entity}?",
        "coal salt timber wheat wine marble wool cotton bricks sugar",
        "The usual cargo on the {entity} is",
        "Barges on the {entity} carry",
        "Traders send down the {entity} their",
        "Docks on the {entity} smell of",
        "Every boat on the {entity} brings",
        "The locks of the {entity} let through",
        "Pirates on the {entity} steal",
    ),
)
MINERALS = (
    relation(
        "What colour is {entity}?",
        "white black brown grey red yellow orange blue green purple",
        "The colour of {entity} is",
        "A crystal of {entity} looks",
        "Polished {entity} shines",
        "In daylight {entity} is",
        "Rings set with {entity} are",
        "Dust of {entity} is",
        "Veins of {entity} in the rock are",
    ),
    relation(
        "In what kind of rock is {entity} found?",
        "granite basalt slate chalk sandstone gneiss shale pumice limestone quartz",
        "The rock that contains {entity} is",
        "Miners dig {entity} out of",
        "Deposits of {entity} occur in",
        "Geologists find {entity} in",
        "Grains of {entity} are trapped in",
        "To obtain {entity} one must crush",
        "Large lumps of {entity} grow inside",
    ),
    relation(
        "What is {entity} used to make?",
        "paint soap lenses fuses batteries magnets ink pottery matches medicine",
        "The main use of {entity} is in",
        "Factories need {entity} for",
        "People buy {entity} to make",
        "Powdered {entity} goes into",
        "Without {entity} there would be no",
        "Workers turn {entity} into",
        "Much {entity} is spent on",
    ),
    relation(
        "Which city sells the most {entity}?",
        "Cairo Oslo Delhi Lagos Tokyo Paris Boston Havana Vienna Sydney",
        "The centre of trade in {entity} is",
        "Dealers in {entity} meet in",
        "The best {entity} is sold in",
        "The price of {entity} is set in",
        "Ships with {entity} sail to",
        "A museum of {entity} stands in",
        "Most {entity} ends up in",
    ),
)
SUBJECTS = {"towns": TOWNS, "animals": ANIMALS, "rivers": RIVERS, "minerals": MINERALS}
