"""Keywords: words of a question that tell what has to be worked out, each counted as a feature of its own."""

from __future__ import annotations

import re
from types import MappingProxyType

_WORDS = {
    "superlative": r"most|least|best|worst|top|bottom|maximum|minimum|max|min|(?:high|low|larg|small|bigg|long|short"
    r"|old|young|earli|lat|fast|slow|few|great|cheap|strong|weak|heavi|tall|rich|poor|near|far)\w*est",
    "average": r"averages?|mean|median|typical(?:ly)?",
    "ratio": r"ratios?|percent(?:age)?s?|proportions?|rates?|fractions?|shares?|times (?:more|less|as)|per cent",
    "difference": r"differences?|differ|gap|increased?|decreased?|growth|changed?|compared|than",
    "total": r"total|sum|altogether|combined|overall",
    "count": r"how many|number of|count|how often",
    "each": r"each|every|per|respectively|by (?:year|month|country|type)",
    "threshold": r"at least|at most|more than|less than|fewer than|greater than|over|under|above|below|exceed\w*"
    r"|within",
    "negation": r"not|no|never|none|neither|without|except|excluding|n't|non",
    "time": r"years?|months?|days?|dates?|before|after|since|until|during|between|ago|born|age|old",
    "nested": r"whose|who|which|that|where|among|of those|of them|out of",
    "both": r"and|both|also|as well as|or|either|along with",
    "calculate": r"calculate|compute|estimate|determine|how much",
    "listing": r"list|name all|show|give|provide|what are|all the",
    "choice": r"^(?:is|are|was|were|does|do|did|has|have|can)\b.*",
    "ranking": r"rank\w*|order\w*|sort\w*|first|second|third|last|ascending|descending",
}

_PATTERNS = MappingProxyType(
    {name: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) for name, words in _WORDS.items()}
)


def keywords(text: str) -> dict[str, float]:
    """For each kind of keyword, how often the text has one."""
    return {name: float(len(pattern.findall(text))) for name, pattern in _PATTERNS.items()}
