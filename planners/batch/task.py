"""Task: what is asked of every item, as a prompt for several of them or for one, and as votes read from the reply.

What is the same for every call (instruction, labels, format, examples) comes first and the items last, so that a
server's prefix cache computes the stable part once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...backends.request import Completion
from ...orchestrator.shown import as_data
from .reply import Said, read_json, read_lines, read_single
from .shown import entry
from .votes import Vote

Format = Literal["lines", "json"]
Weighing = Literal["majority", "confidence", "logprob"]
NUMBER_TOKENS = 6
"""Most tokens that the number of an item and what stands around it take in a reply."""

LINES = (
    "You get several inputs, each with its number. Answer every one of them by itself, one line for each, in this "
    "form: the number, a colon, the answer{sure}. Write nothing else."
)
JSON = (
    "You get several inputs, each with its number. Answer every one of them by itself. Reply with one JSON object "
    "whose keys are the numbers and whose values are {values}."
)
SINGLE = "Reply with the answer{sure} and nothing else."
SURE = ", a comma, and sure or unsure"
MEMBER = 'objects with the answer as "label" and true or false as "sure"'


@dataclass(frozen=True)
class Task:
    """What is asked of every item, and how answers are weighed. Two equal tasks ask the same of the same item."""

    instruction: str
    labels: Mapping[str, str] | None = None
    """What may be answered, and what the model is told each means (nothing if that is empty); None for anything."""
    format: Format = "lines"
    examples: tuple[tuple[str, str], ...] = ()
    """Items and their right answers, shown as a batch that was answered."""
    weighing: Weighing = "majority"
    asks_confidence: bool = False
    alpha: float = 0.2
    """What a vote weighs that the model says it is not sure of."""
    sure: float = 0.9
    """The probability from which on a vote that is weighed by logprobs counts as sure."""
    answer_tokens: int = 12
    """Most tokens of one answer."""

    def turns(self, texts: Sequence[str]) -> list[dict[str, str]]:
        """The prompt for these items, numbered from 1. A single item is asked about plainly, without a number."""
        single = len(texts) == 1
        turns = [{"role": "system", "content": "\n".join([self.instruction, *self._labels(), self._form(single)])}]
        if self.examples:
            shown, answers = [text for text, _ in self.examples], [answer for _, answer in self.examples]
            if single:
                for text, answer in self.examples:
                    turns += _turn(as_data(text), answer + (", sure" if self.asks_confidence else ""))
            else:
                turns += _turn(self._entries(shown), self._answered(answers))
        content = as_data(texts[0]) if single else self._entries(texts)
        return [*turns, {"role": "user", "content": content}]

    def asked(self, number: int) -> dict[str, Any]:
        """What else a call about `number` items says."""
        schema = None
        if self.format == "json" and number > 1:
            names = [str(place) for place in range(1, number + 1)]
            schema = {
                "type": "object",
                "properties": dict.fromkeys(names, self._member_schema()),
                "required": names,
                "additionalProperties": False,
            }
        return {
            "max_tokens": self.reply_tokens(number),
            "schema": schema,
            "logprobs": 0 if self.weighing == "logprob" else None,
        }

    def reply_tokens(self, number: int) -> int:
        """Most tokens of the reply to `number` items."""
        extra = 0 if number == 1 else NUMBER_TOKENS
        if self.asks_confidence:
            extra += NUMBER_TOKENS
        return number * (self.answer_tokens + extra)

    def read(self, said: Completion, number: int) -> list[Vote | None]:
        """The votes in a reply about `number` items, in the order in which they were shown."""
        labels = None if self.labels is None else list(self.labels)
        if number == 1:
            single = read_single(said.text, labels, self.asks_confidence)
            found = {} if single is None else {1: single}
        else:
            found = (read_json if self.format == "json" else read_lines)(said.text, labels, self.asks_confidence)
        if said.finish_reason == "length":
            found = {place: answer for place, answer in found.items() if _ended(answer, said.text)}
        return [self._vote(found.get(place), said) for place in range(1, number + 1)]

    def _vote(self, answer: Said | None, said: Completion) -> Vote | None:
        if answer is None:
            return None
        if self.weighing == "logprob":
            chance = likelihood(said, answer.start, answer.end)
            if chance is not None:
                return Vote(answer.label, chance, chance >= self.sure)
        sure = answer.sure is not False
        return Vote(answer.label, self.alpha if self.weighing == "confidence" and not sure else 1.0, sure)

    def _labels(self) -> list[str]:
        if self.labels is None:
            return []
        described = [f"{label}: {meaning}" if meaning else label for label, meaning in self.labels.items()]
        return ["The answer is one of:", *(f"- {line}" for line in described)]

    def _form(self, single: bool) -> str:
        sure = SURE if self.asks_confidence else ""
        if single:
            return SINGLE.format(sure=sure)
        if self.format == "json":
            return JSON.format(values=MEMBER if self.asks_confidence else "the answers")
        return LINES.format(sure=sure)

    def _member_schema(self) -> dict[str, Any]:
        label: dict[str, Any] = {"type": "string"} if self.labels is None else {"enum": list(self.labels)}
        if not self.asks_confidence:
            return label
        members = {"label": label, "sure": {"type": "boolean"}}
        return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}

    def _entries(self, texts: Sequence[str]) -> str:
        return "\n".join(entry(number, text) for number, text in enumerate(texts, start=1))

    def _answered(self, answers: Sequence[str]) -> str:
        if self.format == "json":
            import json

            shown = [{"label": answer, "sure": True} if self.asks_confidence else answer for answer in answers]
            return json.dumps({str(n): answer for n, answer in enumerate(shown, start=1)}, ensure_ascii=False)
        sure = ", sure" if self.asks_confidence else ""
        return "\n".join(f"{number}: {answer}{sure}" for number, answer in enumerate(answers, start=1))


def _ended(answer: Said, text: str) -> bool:
    """Whether something follows an answer: where a reply was cut, its last words may be half of others."""
    return answer.start < 0 or bool(text[answer.end :].strip(" \t"))


def likelihood(said: Completion, start: int, end: int) -> float | None:
    """The probability of the tokens that the characters from `start` to `end` of a reply were written with.

    None where the server gave no logprobs, or its tokens do not add up to the text.
    """
    if start < 0 or not said.logprobs or "".join(token.token for token in said.logprobs) != said.text:
        return None
    total, place = 0.0, 0
    for token in said.logprobs:
        after = place + len(token.token)
        if after > start and place < end:
            total += token.logprob
        place = after
    return min(1.0, max(math.exp(total), 1e-6))


def _turn(asked: str, answered: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
