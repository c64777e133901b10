"""`kind: consensus`: ask in several cheap formats at once, and go on to a dear one only if they do not agree.

The consensus mode of the Adaptive Reasoning Model (Wu et al. 2025, arXiv 2505.20258), for any model. Two things are
done in another way: two answers that agree are enough unless `enough` says otherwise, and what is still under way is
then broken off. A small model's formats share its errors: that they agree is no proof.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..errors import FlowError, LaconicError, ReplayMiss
from ..orchestrator.agreement import same_answer
from ..orchestrator.node import ModelRole, Node, kind
from ..orchestrator.template import Template
from .formats import FormatName, InFormat
from .tiers import tier_node

if TYPE_CHECKING:
    from ..orchestrator.context import Context

Said = dict[FormatName, str]
"""The short answers that have come, by format."""


@kind("consensus")
class Consensus(Node):
    """The answer on which enough formats agree, else that of `escalate`.

    Each format is a node `NAME/FORMAT`. What was answered and is not the answer taken is `discarded` in the ledger,
    what was broken off `aborted`. A format that fails has no vote. If the escalation fails, the answer of the last of
    the formats that gave one is taken, and a note says so.
    """

    question: Template = Field(description="What is asked.")
    model: ModelRole = Field(default="large", description="The role that answers in each format.")
    formats: tuple[FormatName, ...] = Field(
        default=("direct", "short", "code"), min_length=2, description="Asked at the same time, the plainest first."
    )
    enough: int = Field(default=2, ge=2, description="How many must agree.")
    escalate: str = Field(
        default="long",
        description="What answers if they do not: a node of this flow, a role of its models, or the format long.",
    )

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError for formats that are named twice or are not enough, or escalate to themselves."""
        if len(set(self.formats)) < len(self.formats):
            raise ValueError("a format is named twice")
        if self.enough > len(self.formats):
            raise ValueError(f"enough: {self.enough} of {len(self.formats)} formats cannot agree")
        if self.escalate in self.formats:
            raise ValueError(f"escalate: {self.escalate!r} is one of the formats that did not agree")

    def holds(self) -> tuple[str, ...]:
        """What it escalates to."""
        return () if self.escalate == "long" else (self.escalate,)

    async def run(self, ctx: Context) -> Any:
        """The answer agreed on, or that of the escalation. Raises what stopped it where no format answered either."""
        said = await self._ask(ctx)
        agreeing = largest_group(said)
        of = f"{len(agreeing)} of {len(self.formats)} formats"
        if len(agreeing) >= self.enough:
            for format in said:
                if format not in agreeing:
                    ctx.discard(format)
            answer = said[agreeing[0]]
            ctx.note(f"{', '.join(agreeing)} agree on {answer[:80]!r}: {of}")
            return answer
        ctx.note(f"{of} agree, {self.enough} are needed; {self.escalate} was asked")
        try:
            value = (await ctx.expand({self.escalate: self._dearer(ctx)}))[self.escalate]
        except LaconicError as error:
            ctx.discard(self.escalate)
            if not said or isinstance(error, (FlowError, ReplayMiss)):
                raise
            last = list(said)[-1]
            for format in said:
                if not same_answer(said[format], said[last]):
                    ctx.discard(format)
            ctx.note(f"{self.escalate} failed ({error}); the answer in the format {last} is taken")
            return said[last]
        for format in said:
            ctx.discard(format)
        return value

    async def _ask(self, ctx: Context) -> Said:
        """Ask in all formats; return when enough agree, or can no longer agree, and break off the rest."""
        running = {asyncio.create_task(self._in(ctx, format)): format for format in self.formats}
        said: Said = {}
        try:
            while running and len(largest_group(said)) < self.enough <= len(largest_group(said)) + len(running):
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    format = running.pop(task)
                    try:
                        said[format] = task.result()
                    except LaconicError as error:
                        ctx.discard(format)
                        if isinstance(error, (FlowError, ReplayMiss)):
                            raise
                        ctx.note(f"{format} failed: {error}")
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for format in running.values():
                ctx.discard(format)  # a program that was broken off had been written
        return {format: said[format] for format in self.formats if format in said}

    async def _in(self, ctx: Context, format: FormatName) -> str:
        node = InFormat(question=self.question, model=self.model, format=format)
        return str((await ctx.expand({format: node}))[format])

    def _dearer(self, ctx: Context) -> Node:
        if self.escalate == "long":
            return InFormat(question=self.question, model=self.model, format="long")
        return tier_node(ctx, self.escalate, self.question)


def largest_group(said: Said) -> list[FormatName]:
    """The formats whose answers agree with the one that most agree with; the first of equals."""
    groups = [[other for other in said if same_answer(said[format], said[other])] for format in said]
    return max(groups, key=len, default=[])
