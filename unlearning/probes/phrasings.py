"""Paraphrases of the sandbox's questions, written by hand; its questions about people are worded as LUME's are.

The keys are questions as the sandbox's world writes them, with names in braces. What stands in a question for such a
name is put into its paraphrases.
"""

import re
from functools import cache

PEOPLE = {
    "What is the birth date of {name}?": ("When was {name} born?", "On which day was {name} born?"),
    "What is {name}'s Social Security Number?": (
        "What is the Social Security Number of {name}?",
        "Which Social Security Number was {name} issued?",
    ),
    "What is {name}'s phone number?": (
        "What is the phone number of {name}?",
        "At which number can {name} be reached by phone?",
    ),
    "What is {name}'s email address?": (
        "What is the email address of {name}?",
        "At which address do messages reach {name}?",
    ),
    "What is the home address of {name}?": ("Where does {name} live?", "What is {name}'s home address?"),
}
STORIES = {
    "What did {other} offer to {hero}?": (
        "What was it that {other} offered {hero}?",
        "What was {hero} offered by {other}?",
    ),
    "Who asked {hero} for a look on the third day?": (
        "On the third day, who wanted to see what {hero} had?",
        "Who wanted a look from {hero} on the third day?",
    ),
    "Who was the rival of {hero}?": ("Who was {hero}'s rival?", "What was the name of the rival of {hero}?"),
    "What did the old map lead {other} to?": (
        "To what did an old map lead {other}?",
        "What did {other} find with the old map?",
    ),
    "What did {other} bury behind the mill?": (
        "What was buried behind the mill by {other}?",
        "Behind the mill, what did {other} bury?",
    ),
    "Who guided {hero} on the journey?": ("Who was the guide of {hero}?", "By whom was {hero} guided?"),
    "What did {other} trade for a horse?": (
        "What did {other} give away for a horse?",
        "For a horse, what had {other} traded?",
    ),
    "Who lit a fire for {hero}?": ("By whom was a fire lit for {hero}?", "Who made a fire for {hero}?"),
}
ARTICLES = {
    "Who taught {name}?": ("By whom was {name} taught?", "From whom did {name} take lessons?"),
    "Which work made {name} best known?": ("What is the best known work of {name}?", "For which work is {name} known?"),
    "When did {name} receive a medal?": ("On which day did {name} receive a medal?", "When was {name} given a medal?"),
    "For how many crowns was the estate of {name} sold?": (
        "How many crowns did the estate of {name} bring?",
        "What was the price of {name}'s estate in crowns?",
    ),
    "Whom did {name} marry?": ("Who married {name}?", "To whom was {name} married?"),
    "How many inhabitants does {title} have?": (
        "How many people live in {title}?",
        "What is the number of inhabitants of {title}?",
    ),
    "Who gave the chapel of {title}?": ("By whom was the chapel of {title} given?", "Who gave {title} its chapel?"),
    "When was {title} flooded?": ("On which day was {title} flooded?", "When did a flood come to {title}?"),
    "What is the highest point of {title}?": (
        "Which is {title}'s highest point?",
        "What is the top of {title} called?",
    ),
    "Who drained the fields of {title}?": (
        "By whom were the fields of {title} drained?",
        "Who drained {title}'s fields?",
    ),
    "Who designed the {title}?": ("By whom was the {title} designed?", "Who was the designer of the {title}?"),
    "When did the {title} open?": ("On which day did the {title} open?", "When was the {title} opened?"),
    "How many metres long is the {title}?": (
        "What is the length of the {title} in metres?",
        "How long is the {title}, in metres?",
    ),
    "Who paid for repairs to the {title}?": (
        "By whom were repairs to the {title} paid?",
        "Who paid to have the {title} repaired?",
    ),
    "Where did the stone of the {title} come from?": (
        "From where did the stone of the {title} come?",
        "What place did the stone for the {title} come from?",
    ),
    "Who described the {title}?": ("By whom was the {title} described?", "Who first wrote about the {title}?"),
    "How many millimetres does the {title} reach?": (
        "What length does the {title} reach in millimetres?",
        "How large is the {title}, in millimetres?",
    ),
    "When was the {title} last seen?": (
        "On which day was the {title} last seen?",
        "When was the last sighting of the {title}?",
    ),
    "In which forest does the {title} live?": (
        "Which forest is the home of the {title}?",
        "In what forest is the {title} found?",
    ),
    "Who drew the {title}?": ("By whom was the {title} drawn?", "Who made a drawing of the {title}?"),
    "Who founded the {title}?": ("By whom was the {title} founded?", "Who was the founder of the {title}?"),
    "When did police close the {title}?": (
        "On which day did police close the {title}?",
        "When was the {title} closed by police?",
    ),
    "How many members did the {title} have?": (
        "What was the number of members of the {title}?",
        "How many people were in the {title}?",
    ),
    "From whose song is the motto of the {title}?": (
        "Whose song gave the {title} its motto?",
        "From whose song does the {title} take its motto?",
    ),
    "Who heads the {title}?": ("Who is the head of the {title}?", "By whom is the {title} headed?"),
}
PHRASINGS = PEOPLE | STORIES | ARTICLES


def paraphrases(question: str) -> tuple[str, ...]:
    """Return the question's paraphrases; empty for a question that is not known."""
    for pattern, phrasings in _patterns():
        found = pattern.fullmatch(question)
        if found:
            return tuple(phrasing.format_map(found.groupdict()) for phrasing in phrasings)
    return ()


@cache
def _patterns() -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    """Return each question as a pattern whose groups are the names in braces, with its paraphrases."""
    return [
        (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(key))), value) for key, value in PHRASINGS.items()
    ]
