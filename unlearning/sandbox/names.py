"""Names that occur only once: Faker's names for people, and invented words for places and things."""

import random
from collections.abc import Callable

from faker import Faker

STARTS = (
    "Bal", "Brin", "Cal", "Cor", "Dar", "Dol", "Esk", "Fal", "Fen", "Gal", "Gor", "Hald", "Hes", "Ilv",
    "Jor", "Kal", "Kess", "Lor", "Lund", "Mar", "Mev", "Nar", "Nol", "Ost", "Pel", "Quor", "Rav", "Rhos",
    "Sal", "Skel", "Tal", "Thor", "Ulv", "Var", "Vel", "Wes", "Yar", "Zel",
)  # fmt: skip
MIDDLES = ("a", "e", "i", "o", "u", "an", "ar", "en", "er", "il", "in", "on", "or", "ul")
ENDS = (
    "bra", "dan", "dell", "dris", "fax", "gard", "grim", "kel", "lin", "lock", "mere", "mont", "nack",
    "nor", "pra", "quin", "rast", "rov", "shaw", "sk", "stad", "tava", "thal", "tow", "via", "vik", "wen",
    "wick", "zana", "zo",
)  # fmt: skip
TRIES = 200
"""Draws after which a list of names counts as used up."""


class Names:
    """Draws names without replacement; two objects with equal random states draw the same names."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._faker = Faker("en_US", use_weighting=False)
        self._faker.seed_instance(rng.getrandbits(32))
        self._used: set[str] = set()

    def first(self, female: bool) -> str:
        """Return a first name that no other person of the world has."""
        return self._fresh(self._faker.first_name_female if female else self._faker.first_name_male)

    def person(self, female: bool | None = None) -> str:
        """Return a first and a last name, both new to the world."""
        first = self.first(self._rng.random() < 0.5 if female is None else female)
        return f"{first} {self._fresh(self._faker.last_name)}"

    def invented(self) -> str:
        """Return a word that looks like a name and means nothing."""
        return self._fresh(lambda: "".join(self._rng.choice(part) for part in (STARTS, MIDDLES, ENDS)))

    def street(self) -> str:
        """Return a street such as "Vance Ridge"; its first word may be anybody's last name."""
        return str(self._faker.street_name())

    def city(self) -> str:
        """Return a town such as "East Dana"."""
        return str(self._faker.city())

    def _fresh(self, draw: Callable[[], str]) -> str:
        """Return a name that was not drawn before; two names with a hyphen once single ones have run out."""
        for _ in range(TRIES):
            if self._claim(name := draw()):
                return name
        while not self._claim(name := f"{draw()}-{draw()}"):
            pass
        return name

    def _claim(self, name: str) -> bool:
        """Return whether the name was free. It is taken afterwards."""
        free = name not in self._used
        self._used.add(name)
        return free
