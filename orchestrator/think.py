"""A model thinks for so many tokens, then answers: budget forcing, thinking on, anytime answers.

After s1 (Muennighoff et al., 2025, arXiv 2501.19393) and the truncated thoughts of AnytimeReasoner (Qi et al., 2025,
arXiv 2505.13438). A server that limits thinking is left to do it where it can; the calls that do it elsewhere, and all
else that `thinking` may ask for: `thought.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..backends.request import Completion
from ..errors import BudgetExceeded, NodeError
from .answer import Answered
from .thought import Thought

if TYPE_CHECKING:
    from .context import Context, Prompt
    from .thinking import Thinking

ANSWER = 512
"""Most tokens of the answer where neither node nor model says."""


async def ask(
    ctx: Context,
    prompt: Prompt,
    thinking: Thinking | None,
    *,
    model: str,
    purpose: str = "answer",
    max_tokens: int | None = None,
    **how: Any,
) -> Answered:
    """What the model answers, after it has thought if `thinking` says so; what it thought is the `reasoning`.

    `max_tokens`: of the answer. `how`: `stop` and `schema` of the answer, and how to sample. If a budget ends it,
    the latest probe is the answer; without one it raises BudgetExceeded.

    Raises NodeError for a model that cannot be made to think or answers nothing after it, and what a call raises.
    """
    if thinking is None:
        return Answered(await ctx.complete(prompt, model=model, purpose=purpose, max_tokens=max_tokens, **how))
    facts = await ctx.facts(model)
    spec = ctx.flow.models.get(model)
    most = max_tokens or (spec.max_tokens if spec is not None else None) or ANSWER
    if facts.limits_thinking and await _one_call_does(ctx, prompt, thinking, model, most, how):
        how["extra"] = {"thinking_token_budget": thinking.limit}
        said = await ctx.complete(prompt, model=model, purpose=purpose, max_tokens=thinking.limit + most, **how)
        return Answered(_some(said, ctx, model))
    thought = Thought(ctx, thinking, facts, model, purpose, most, how)
    await thought.begin(prompt)
    try:
        await thought.whole()
        answered = await thought.answer()
    except BudgetExceeded as error:
        probe = thought.latest_probe()
        if probe is None:
            raise
        ctx.cut_short(error)
        answered = probe
    said = _some(answered.said, ctx, model)
    ctx.hear(said)
    ctx.note(f"thought for {thought.tokens} of {thinking.limit} tokens: {thought.ended}")
    said = msgspec.structs.replace(said, text=said.text.strip(), reasoning=thought.text.strip())
    return msgspec.structs.replace(answered, said=said)


async def _one_call_does(
    ctx: Context, prompt: Prompt, thinking: Thinking, model: str, most: int, how: Mapping[str, Any]
) -> bool:
    """Whether a server that limits thinking can do what is asked in one call, thought and answer together.

    Not if it is to stop at a text, which it would find in the thought as well; nor if somebody listens, who would hear
    the thought's logprobs too; nor if a budget has not the tokens for all of it: the thought would use up those it has.
    """
    if not thinking.only_limits or how.get("stop") or ctx.heard is not None:
        return False
    left = ctx.budget.left.tokens if ctx.budget is not None else None
    return left is None or left >= (await ctx.count(prompt, model=model)).tokens + thinking.limit + most


def _some(said: Completion, ctx: Context, model: str) -> Completion:
    if said.text.strip():
        return said
    why = "; it was cut short, give it more max_tokens" if said.finish_reason == "length" else ""
    raise NodeError(f"the model in the role {model!r} thought, and then answered nothing{why}", path=ctx.path)
