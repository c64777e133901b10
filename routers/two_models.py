"""Two models on one answer: whether they can go on with each other's tokens, and what they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NodeError

if TYPE_CHECKING:
    from ..backends.backend import ServerFacts
    from ..orchestrator.context import Context

Turns = list[dict[str, str]]
"""What is asked, as a chat."""


async def facts_of_both(ctx: Context, small: str, large: str) -> tuple[ServerFacts, ServerFacts]:
    """The facts of the two models. Raises NodeError if either is not run in this process, or their tokens differ."""
    found = await ctx.facts(small), await ctx.facts(large)
    for role, facts in zip((small, large), found, strict=True):
        if facts.vocabulary is None or not facts.knows("until"):
            raise NodeError(
                f"the model in the role {role!r} cannot be asked token by token; this needs two models "
                "with `backend: transformers`",
                path=ctx.path,
            )
    if found[0].vocabulary != found[1].vocabulary:
        raise NodeError(
            f"the models in the roles {small!r} and {large!r} have different tokens, so that neither can "
            "go on with what the other wrote; take two models of one family",
            path=ctx.path,
        )
    return found


def turns(ctx: Context, prompt: str, system: str | None) -> Turns:
    """The chat that both are asked to go on with, from its templates."""
    asked = [{"role": "user", "content": ctx.text(prompt)}]
    if system is not None:
        asked.insert(0, {"role": "system", "content": ctx.text(system)})
    return asked
