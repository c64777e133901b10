"""Four formats in which a model can answer, from the cheapest to the dearest: direct, short, code, long.

They are those of the Adaptive Reasoning Model (Wu et al. 2025, arXiv 2505.20258), asked for by instruction, so that any
model can be told. The wording is this project's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..errors import NodeError
from ..orchestrator.answer import short_answer
from ..orchestrator.node import ModelRole, Node
from ..orchestrator.template import Template

if TYPE_CHECKING:
    from ..orchestrator.context import Context

FormatName = Literal["direct", "short", "code", "long"]


class Style(NamedTuple):
    """How a format is asked for, and how many tokens it may take where nothing else is said."""

    instruction: str
    max_tokens: int


FORMATS: dict[FormatName, Style] = {
    "direct": Style("Reply with the answer to the question alone: a number, a name or a few words.", 48),
    "short": Style(
        "Think about the question in at most three short sentences. "
        'Then write a last line that starts with "Answer:" and gives the answer in a few words.',
        200,
    ),
    "code": Style(
        "Write a short Python program that computes the answer to the question and prints the answer alone. "
        "It gets no input and has no files and no network. Reply with the program only, in one code block.",
        300,
    ),
    "long": Style(
        "Solve the question step by step: say what is given and what is asked, work it out, check the result in "
        "another way, and correct what was wrong. "
        'Then write a last line that starts with "Answer:" and gives the answer in a few words.',
        1200,
    ),
}

_BLOCK = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)


class InFormat(Node):
    """One answer in one format; the value is the short answer."""

    kind = "format"

    question: Template
    model: ModelRole
    format: FormatName
    max_tokens: int | None = None

    async def run(self, ctx: Context) -> str:
        """One call, and for `code` a run in the sandbox."""
        return await answer_in(self.format, ctx, ctx.text(self.question), self.model, self.max_tokens)


async def answer_in(format: FormatName, ctx: Context, question: str, model: str, max_tokens: int | None = None) -> str:
    """The short answer to a question, asked for in a format: one call, and for `code` a run in the sandbox.

    Raises NodeError for code that fails or prints nothing, and what the call raises.
    """
    style = FORMATS[format]
    most = max_tokens or style.max_tokens
    turns = [{"role": "system", "content": style.instruction}, {"role": "user", "content": f"Question: {question}"}]
    said = await ctx.complete(turns, model=model, purpose="answer", max_tokens=most)
    if said.finish_reason == "length":
        ctx.note(f"the answer was cut off at {most} tokens; give it more max_tokens")
    return await _computed(ctx, said.text) if format == "code" else short_answer(said.text)


async def _computed(ctx: Context, text: str) -> str:
    """What the program in a model's answer prints last."""
    from ..tools.sandbox import run_python

    blocks = _BLOCK.findall(text)
    ran = await run_python(blocks[-1] if blocks else text)
    if ran.error:
        raise NodeError(f"the code failed: {ran.error}", path=ctx.path)
    answer = short_answer(ran.output)
    if not answer:
        raise NodeError("the code printed nothing", path=ctx.path)
    return answer
