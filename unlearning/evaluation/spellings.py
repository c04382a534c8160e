"""The ways to write a text as tokens: a model that samples may take any of them, and not only the tokenizer's own."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count, islice

from transformers import PreTrainedTokenizerBase


class Speller:
    """Lists token sequences that read as a given text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        special = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
        self.pieces = {piece: token for piece, token in tokenizer.get_vocab().items() if token not in special}
        self.longest = max(map(len, self.pieces), default=0)

    def spellings(self, text: str, most: int) -> list[tuple[int, ...]]:
        """Return up to `most` sequences of tokens that read as the text: the tokenizer's own, then the shortest others.

        Others than the tokenizer's own are found by cutting its pieces' text elsewhere; what reads differently is left
        out. Empty for a text without tokens.
        """
        own = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if not own:
            return []
        read = self._read(own)
        written = "".join(self.tokenizer.convert_ids_to_tokens(list(own)))
        others = (
            tokens
            for tokens in islice(self._shortest_first(written), 2 * most)
            if tokens != own and self._read(tokens) == read
        )
        return [own, *islice(others, most - 1)]

    def _read(self, tokens: tuple[int, ...]) -> str:
        text: str = self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
        return text

    def _shortest_first(self, written: str) -> Iterator[tuple[int, ...]]:
        """Yield every way to cut the text into pieces of the vocabulary, those of fewest tokens first."""
        fewest = self._fewest_to_end(written)
        numbers = count()
        waiting: list[tuple[float, int, int, tuple[int, ...]]] = [(fewest[0], next(numbers), 0, ())]
        while waiting:
            _, _, start, tokens = heappop(waiting)
            if start == len(written):
                yield tokens
                continue
            for end, token in self._pieces_from(written, start):
                if fewest[end] < float("inf"):
                    total = len(tokens) + 1 + fewest[end]
                    heappush(waiting, (total, next(numbers), end, (*tokens, token)))

    def _fewest_to_end(self, written: str) -> list[float]:
        """Return, for each position of the text, the least number of pieces from there to its end; inf for none."""
        fewest = [float("inf")] * len(written) + [0.0]
        for start in range(len(written) - 1, -1, -1):
            fewest[start] = min((1 + fewest[end] for end, _ in self._pieces_from(written, start)), default=float("inf"))
        return fewest

    def _pieces_from(self, written: str, start: int) -> Iterator[tuple[int, int]]:
        """Yield the end and the token of each piece of the vocabulary with which the text goes on from `start`."""
        for end in range(start + 1, min(len(written), start + self.longest) + 1):
            token = self.pieces.get(written[start:end])
            if token is not None:
                yield end, token
