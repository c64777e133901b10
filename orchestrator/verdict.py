"""Verdict: what a model's one token says of each label, read from its logprobs and averaged over several orders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

import msgspec

from ..backends.request import Completion

IDENTIFIERS = ascii_uppercase
"""What labels are shown under: each is a single token of every common vocabulary."""
LEAST = 1e-6
"""The least probability that a label is given in one reading: none may settle the mean of several by itself."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer says, its labels shown in one order."""

    order: tuple[str, ...]
    """The labels as they stood in the prompt, behind A, B, C, ..."""
    token: str
    """What the model wrote."""
    probabilities: dict[str, float]
    """For each label, among the labels; empty if no token that was reported stands for one."""
    named: frozenset[str] = frozenset()
    """The labels that a token stands for; the others are known to be no likelier."""
    mass: float | None
    """How much probability fell on labels at all; None where the server was held to them, which hides it."""
    certain: bool = False
    """Whether the server told its token and nothing else."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How likely each label is; without a trace of any label all are equally likely, and `mass` is 0."""

    probabilities: dict[str, float]
    mass: float | None
    """How much probability fell on labels at all, on average; None where the server was held to them."""
    readings: tuple[Reading, ...]

    @property
    def label(self) -> str:
        """The likeliest label, the first of equals."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])

    def __str__(self) -> str:
        chances = ", ".join(f"{label} {chance:.2f}" for label, chance in self.probabilities.items())
        remarks = [f"{self.mass:.0%} of the probability fell on an option"] if self.mass is not None else []
        if any(reading.certain for reading in self.readings):
            remarks = ["the server gives no logprobs: each answer counts as certain"]
        return "; ".join([chances, *remarks])


def read(completion: Completion, order: Sequence[str], *, restricted: bool, floor: float = LEAST) -> Reading:
    """Read the first token of an answer to a prompt that showed the labels in `order` behind A, B, C, ...

    ` A`, `a` and `A` are one identifier, their probabilities add up; tokens of several characters are none. A label
    that is not among the alternatives reported is at most as likely as the least of those, and gets that much.
    `floor`: the least that any label gets.
    """
    identifiers = dict(zip(IDENTIFIERS, order, strict=False))
    if not completion.logprobs:
        said = identifiers.get(_folded(completion.text))
        certainly = {label: float(label == said) for label in order} if said is not None else {}
        mass = None if restricted else float(said is not None)
        return Reading(
            order=tuple(order),
            token=completion.text,
            probabilities=certainly,
            named=frozenset() if said is None else frozenset({said}),
            mass=mass,
            certain=said is not None,
        )
    first = completion.logprobs[0]
    reported = {token: math.exp(logprob) for token, logprob in (*first.top, (first.token, first.logprob))}
    seen: dict[str, float] = {}
    for token, probability in reported.items():
        label = identifiers.get(_folded(token))
        if label is not None:
            seen[label] = seen.get(label, 0.0) + probability
    least = min(reported.values())
    scaled = _scaled({label: max(seen.get(label, least), floor) for label in order}) if any(seen.values()) else {}
    mass = None if restricted else min(1.0, sum(seen.values()))
    return Reading(order=tuple(order), token=first.token, probabilities=scaled, named=frozenset(seen), mass=mass)


def combined(readings: Sequence[Reading], labels: Sequence[str]) -> Verdict:
    """One verdict of readings that showed the labels in different orders.

    The mean is geometric: if a model favours a place by a factor, as its softmax does, and every label stood in every
    place once, then that favour cancels exactly, which in an arithmetic mean it does not. Where a server tells its
    token only, the probabilities are shares of votes.
    """
    told = [reading for reading in readings if reading.probabilities]
    masses = [reading.mass for reading in readings if reading.mass is not None]
    mass = sum(masses) / len(masses) if masses else None if told else 0.0
    if not told:
        means = dict.fromkeys(labels, 1.0)
    elif any(reading.certain for reading in told):
        means = {label: sum(reading.probabilities[label] for reading in told) for label in labels}
    else:
        means = {
            label: math.exp(sum(math.log(reading.probabilities[label]) for reading in told) / len(told))
            for label in labels
        }
    return Verdict(probabilities=_scaled(means), mass=mass, readings=tuple(readings))


def _folded(token: str) -> str:
    return token.strip().upper()


def _scaled(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}
