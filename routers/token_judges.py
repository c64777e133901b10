"""Whether it matters which of two tokens is taken: what follows each of them, compared.

Both are followed by the large model, to the end of the sentence as R2R does it (arXiv 2505.21600), or of the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..orchestrator.agreement import same_answer, same_statement
from ..orchestrator.answer import short_answer
from ..orchestrator.shown import as_data
from .single_token import decide_by_token
from .steps import STOPS

if TYPE_CHECKING:
    from ..orchestrator.context import Context

Judge = Literal["exact", "model", "answer"]
"""`exact`: the sentences have the same numbers, or without any the same words. `model`: the large model says by one
token whether they say the same. `answer`: the whole answers come to the same short answer."""
SENTENCE_ENDS = (*STOPS["sentence"], "。", "！", "？")
"""Where a step ends, and the full stops of Chinese and Japanese: a step may well run on to the end of its line, but the
sentences that are compared must end where the difference does."""
SEEN = 1200
"""Characters of the answer so far that a model which judges is shown, the last ones."""
OPTIONS = {
    "same": "both say the same in other words, or differ in nothing that matters for the result",
    "different": "they differ in a fact, a number, a step, or in where they lead",
}


def sentence(text: str) -> tuple[str, bool]:
    """`text` up to the end of its first sentence, and whether that is there. Blank space before it is left out."""
    text = text.lstrip()
    ends = [(place, end) for end in SENTENCE_ENDS if (place := text.find(end)) >= 0]
    if not ends:
        return text, False
    place, end = min(ends)
    return text[: place + len(end.rstrip())], True


async def same(ctx: Context, judge: Judge, question: str, before: str, ours: str, theirs: str, model: str) -> bool:
    """Whether two continuations of an answer, of which `before` is written, make no difference.

    Only the judge `model` makes a call: one token of the role `model`, purpose `judge`.
    """
    if judge == "answer":
        return same_answer(short_answer(before + ours), short_answer(before + theirs))
    if judge == "exact":
        return same_statement(ours, theirs)
    verdict = await decide_by_token(
        ctx,
        instruction="An answer can go on in two ways. Judge whether it makes a difference which one is taken.",
        text=as_data(f"Question: {question}\nAnswer so far: {before[-SEEN:]}\nFirst way: {ours}\nSecond way: {theirs}"),
        options=OPTIONS,
        model=model,
        purpose="judge",
        permutations=2,
    )
    return verdict.label == "same"
