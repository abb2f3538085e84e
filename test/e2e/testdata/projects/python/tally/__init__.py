"""Counts the words of a text."""

import re
from collections import Counter


def words(text: str) -> Counter:
    """How often each word is there, whatever its capitals."""
    return Counter(re.findall(r"[^\W\d_]+", text.casefold()))


def page(text: str, most: int = 3) -> str:
    """A page of the most frequent words; of two that are as frequent, the first in the alphabet."""
    top = sorted(words(text).items(), key=lambda item: (-item[1], item[0]))[:most]
    return "<table>" + "".join(f"<tr><td>{word}<td>{count}" for word, count in top) + "</table>\n"
