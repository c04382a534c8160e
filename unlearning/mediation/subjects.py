"""The subject of an own row's prompt, found by rule where the row does not say which words it is.

Two rules are tried in turn:

- Prompts of one document share their subject: it is the longest run of words that all of them have in common, without
  the words that more than half of the other documents have too ("Where does ... live?").
- A name is written with capitals: it is the longest run of capitalised words. The first word of a prompt counts only
  if a second one follows it, and never if it begins questions in English.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.data.words import WORD

Span = tuple[int, int]
"""Where words begin and end in a prompt, in characters; the end is exclusive."""

WITHIN_NAME = re.compile(r"[ .'\N{RIGHT SINGLE QUOTATION MARK}-]{1,2}")
"""What may stand between two words of a name."""
NO_NAME = re.compile(
    "A|An|Are|At|By|Can|Could|Did|Do|Does|For|From|Give|Had|Has|Have|How|I|If|In|Is|List|May|Name|Of|On|Please|Shall"
    "|Should|Tell|The|To|Under|Was|Were|What|When|Where|Which|Who|Whom|Whose|Why|Will|With|Would"
)
"""Words that begin a prompt with a capital, and "I"."""


def shared_subjects(rows: Sequence[Row]) -> dict[str, Span]:
    """Return the subjects that prompts of one document share, by the ids of the rows; other rows have none.

    A document has to have two different prompts, and the rows another document.
    """
    prompts: dict[tuple[str, str], dict[str, list[Span]]] = defaultdict(dict)
    for row in rows:
        prompts[row.task, document_id(row.id)][row.input] = _words(row.input)
    vocabularies = {name: _vocabulary(own) for name, own in prompts.items()}
    documents_with = Counter(word for own in vocabularies.values() for word in own)
    found: dict[str, Span] = {}
    for row in rows:
        name = (row.task, document_id(row.id))
        own = prompts[name]
        if len(own) > 1 and len(prompts) > 1:
            common = {word for word in vocabularies[name] if 2 * (documents_with[word] - 1) > len(prompts) - 1}
            span = _longest_shared(row.input, own, common)
            if span is not None:
                found[row.id] = span
    return found


def capitalised_subject(prompt: str) -> Span | None:
    """Return the longest run of capitalised words, the first one of equals; None where there is none."""
    words = _words(prompt)
    runs: list[list[Span]] = []
    for capital, group in groupby(words, lambda span: _is_capital(prompt, span)):
        runs += _names(prompt, list(group)) if capital else []
    runs = [run for run in runs if run[0] != words[0] or len(run) > 1]
    if not runs:
        return None
    longest = max(runs, key=len)
    return longest[0][0], longest[-1][1]


def _is_capital(prompt: str, span: Span) -> bool:
    word = prompt[slice(*span)]
    return word[0].isupper() and not NO_NAME.fullmatch(word)


def _names(prompt: str, words: Sequence[Span]) -> list[list[Span]]:
    """Return the words in runs that nothing but `WITHIN_NAME` stands between."""
    runs = [[words[0]]]
    for before, word in pairwise(words):
        if WITHIN_NAME.fullmatch(prompt[before[1] : word[0]]):
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _words(prompt: str) -> list[Span]:
    return [match.span() for match in WORD.finditer(prompt)]


def _vocabulary(prompts: dict[str, list[Span]]) -> set[str]:
    return {prompt[slice(*span)] for prompt, spans in prompts.items() for span in spans}


def _longest_shared(prompt: str, prompts: dict[str, list[Span]], common: Iterable[str]) -> Span | None:
    """Return the longest run of words in the prompt that all prompts have, without common words; None: no run."""
    left_out = set(common)
    texts = [[text[slice(*span)] for span in spans] for text, spans in prompts.items()]
    spans = prompts[prompt]
    own = [prompt[slice(*span)] for span in spans]
    for length in range(len(own), 0, -1):
        for first in range(len(own) - length + 1):
            run = own[first : first + length]
            if left_out.isdisjoint(run) and all(_contains(text, run) for text in texts):
                return spans[first][0], spans[first + length - 1][1]
    return None


def _contains(words: Sequence[str], run: Sequence[str]) -> bool:
    return any(words[first : first + len(run)] == run for first in range(len(words) - len(run) + 1))
