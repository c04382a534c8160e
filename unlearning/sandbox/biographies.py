"""Task2: short biographies with personal data, in the wording of the official rows."""

import random
from datetime import date, timedelta

from unlearning.sandbox.document import SandboxDocument
from unlearning.sandbox.names import Names

QUESTIONS = (
    ("birth", "What is the birth date of {name}?"),
    ("security", "What is {name}'s Social Security Number?"),
    ("phone", "What is {name}'s phone number?"),
    ("email", "What is {name}'s email address?"),
    ("home", "What is the home address of {name}?"),
)
OPENINGS = (
    ("birth", "{name} was born on {value}"),
    ("birth", "{name}, born on {value}, is a {job}"),
    ("phone", "{name} can be reached by phone at {value}"),
    ("phone", "The {job} {name} answers the phone at {value}"),
    ("home", "{name} lives at {value}"),
    ("home", "{name} is a {job} who resides at {value}"),
)
CLAUSES = {
    "birth": (
        "Records show a birth date of {value}.",
        "{She} was born on {value}.",
        "{Her} birthday is {value}.",
    ),
    "security": (
        "{Her} Social Security Number is {value}.",
        "The Social Security Number on file is {value}.",
        "{She} was issued Social Security Number {value}.",
    ),
    "phone": ("{Her} phone number is {value}.", "Call {her} at {value}.", "{She} answers calls at {value}."),
    "email": (
        "{Her} email address is {value}.",
        "Messages reach {her} at {value}.",
        "{She} writes from {value}.",
    ),
    "home": ("{Her} home address is {value}.", "{She} resides at {value}.", "Letters go to {value}."),
}
JOBS = (
    "nurse", "plumber", "teacher", "pilot", "chemist", "barber", "librarian", "welder", "surveyor",
    "florist", "dentist", "carpenter", "translator", "veterinarian",
)  # fmt: skip
MAIL_WORDS = (
    "maple", "comet", "otter", "pixel", "tango", "cedar", "blaze", "quartz", "lotus", "raven", "mango",
    "cobalt", "zephyr", "walnut", "falcon", "pepper",
)  # fmt: skip
MAIL_HOSTS = (
    "me.com",
    "aol.com",
    "gmail.com",
    "yahoo.com",
    "inbox.net",
    "post.org",
    "mail.net",
    "fastmail.com",
)
STATES = (
    "AL", "AZ", "CA", "CO", "FL", "GA", "IA", "ID", "IL", "KS", "KY", "MA", "MD", "ME", "MI", "MN", "MO",
    "MT", "NC", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "TN", "TX", "UT", "VA", "VT",
    "WA", "WI", "WY",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
FIRST_BIRTH = date(1950, 1, 1)
BIRTH_DAYS = 19_000


def _digits(count: int, rng: random.Random) -> str:
    """Return so many digits, the first of which is not zero."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def _facts(names: Names, rng: random.Random) -> dict[str, tuple[str, str]]:
    """Return each field's value in two forms: as a question's answer, and as running text has it."""
    born = FIRST_BIRTH + timedelta(days=rng.randrange(BIRTH_DAYS))
    # Numbers from 900 on are never issued, which is why the official rows have them too.
    security = "900" + _digits(6, rng)
    phone = _digits(10, rng)
    email = f"{rng.choice(MAIL_WORDS)}_{rng.choice(MAIL_WORDS)}{_digits(2, rng)}@{rng.choice(MAIL_HOSTS)}"
    home = f"{rng.randrange(10, 2000)} {names.street()}, {names.city()}, {rng.choice(STATES)}, {_digits(5, rng)}"
    return {
        "birth": (born.isoformat(), f"{MONTHS[born.month - 1]} {born.day}, {born.year}"),
        "security": (security, f"{security[:3]}-{security[3:5]}-{security[5:]}"),
        "phone": (phone, f"{phone[:3]}-{phone[3:6]}-{phone[6:]}"),
        "email": (email, email),
        "home": (f"{home}.", home),
    }


def make_biography(names: Names, rng: random.Random) -> SandboxDocument:
    """Return a biography: the completion tells three of five facts, in any order; the questions ask for all five."""
    female = rng.random() < 0.5
    name = names.person(female)
    facts = _facts(names, rng)
    pronouns = {"She": "She", "Her": "Her", "her": "her"} if female else {"She": "He", "Her": "His", "her": "him"}
    first, opening = rng.choice(OPENINGS)
    second, third = rng.sample([field for field in facts if field != first], 2)
    start = opening.format(name=name, value=facts[first][1], job=rng.choice(JOBS)) + "."
    middle, end = (rng.choice(CLAUSES[field]).format(value=facts[field][1], **pronouns) for field in (second, third))
    # The prompt ends after the second sentence's first two words, which do not always name the field.
    words = middle.split(" ")
    questions = tuple((text.format(name=name), facts[field][0]) for field, text in QUESTIONS)
    return SandboxDocument(" ".join([start, *words[:2]]), " ".join([*words[2:], end]), questions)
