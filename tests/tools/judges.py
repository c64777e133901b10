"""Scripted models that judge passages behind letters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from laconic.backends import Completion, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.backends.backend import ServerFacts

_SHOWN = re.compile(r"^([A-Z]): (.*)$", re.MULTILINE)


def shown(request: Request) -> dict[str, str]:
    """The passages of a prompt by their letters."""
    return dict(_SHOWN.findall((request.messages or ())[-1].content))


def said(weights: dict[str, float], most: int = 20) -> Completion:
    """One token, likelihoods in proportion to the weights, and the likeliest alternatives."""
    total = sum(weights.values())
    top = sorted(((token, math.log(weight / total)) for token, weight in weights.items()), key=lambda one: -one[1])
    token, logprob = top[0]
    return Completion(
        text=token,
        usage=Usage(40, 1, 0, 0, 0),
        finish_reason="length",
        logprobs=(TokenLogprob(token, logprob, None, tuple(top[:most])),),
    )


def judge(weight: Callable[[str], float], place: Callable[[int], float] = lambda place: 1.0) -> ScriptedBackend:
    """A model that finds a passage as likely as `weight` says, times what its place in the prompt makes of it."""

    def answer(request: Request) -> Completion:
        passages = shown(request).items()
        return said({letter: weight(text) * place(number) for number, (letter, text) in enumerate(passages)})

    return ScriptedBackend(answer, context=100_000)


class Serving(ScriptedBackend):
    """A scripted model behind a server that says of itself what it is told."""

    def __init__(self, told: ServerFacts, answer: Callable[[Request], Completion]) -> None:
        super().__init__(answer, context=100_000)
        self._told = told

    async def facts(self) -> ServerFacts:
        return self._told
