"""Further queries for one question, as nodes of the running graph, until their votes have decided."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict

from ...errors import BackendError
from ...orchestrator import Context, Node
from ...tools.sql.database import Database
from ..exemplars import Turn
from .attempt import Attempt, executed
from .votes import Votes
from .writer import Writer

TEMPERATURE = 0.7
"""Of every query but the first."""


class VoteNode(Node):
    """Draw one more query and run it. It holds text that is no template."""

    kind: ClassVar[str] = "vote"
    model_config = ConfigDict(arbitrary_types_allowed=True)

    database: Database
    prompt: list[Turn]
    model: str
    max_tokens: int
    number: int

    async def run(self, ctx: Context) -> Attempt:
        """One call, purpose `vote`; one that fails does not vote."""
        writer = Writer(ctx, self.database, self.prompt, self.model, self.max_tokens)
        try:
            attempt = await writer.write("vote", temperature=TEMPERATURE, seed=self.number, sample=self.number)
        except BackendError as error:
            ctx.note(f"does not vote: {error}")
            return Attempt("", problem=str(error))
        return await executed(self.database, attempt)


async def elected(writer: Writer, first: Attempt, most: int) -> Attempt:
    """The winner of at most `most` votes, of which `first`, the likeliest query, is one; `first` if nothing gave rows.

    As many are under way at once as are needed in any case, so that no call is made, or broken off, for nothing.
    """
    votes = Votes(most)
    votes.add(first)
    cast = 1
    while needed := votes.needed:
        nodes: dict[str, Node] = {
            f"vote{number}": VoteNode(
                database=writer.database,
                prompt=writer.prompt,
                model=writer.model,
                max_tokens=writer.max_tokens,
                number=number,
            )
            for number in range(cast + 1, cast + needed + 1)
        }
        attempts = await writer.ctx.expand(nodes)
        for name in nodes:
            votes.add(attempts[name])
        cast += needed
    writer.ctx.note(f"{cast} of {most} votes decided")
    return votes.winner or first
