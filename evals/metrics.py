"""Exact match and token F1, as the evaluation scripts of SQuAD (1606.05250) and HotpotQA (1809.09600) compute them.

Both compare normalised answers: lower case, without punctuation, without the articles a, an, the, white space made one.
HotpotQA's rule for closed answers holds: where either side is `yes`, `no` or `noanswer`, F1 is 0 unless they are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..orchestrator.agreement import normalise

CLOSED = frozenset({"yes", "no", "noanswer"})
"""Answers of which a part is worth nothing."""


def exact_match(answer: str, gold: str) -> float:
    """1 if both are the same after normalisation, else 0."""
    return float(normalise(answer) == normalise(gold))


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall over the words both have in common, counted with repetition; 0 to 1."""
    said, right = normalise(answer), normalise(gold)
    if said != right and (said in CLOSED or right in CLOSED):
        return 0.0
    words, wanted = said.split(), right.split()
    common = sum((Counter(words) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(words), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def best_scores(answer: str, golds: Sequence[str]) -> tuple[float, float]:
    """(exact match, F1) against the gold answer that fits best, each for itself; (0, 0) without gold answers."""
    return (
        max((exact_match(answer, gold) for gold in golds), default=0.0),
        max((token_f1(answer, gold) for gold in golds), default=0.0),
    )
