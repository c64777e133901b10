"""`kind: batch`: many small questions that share one instruction, several to a prompt (BatchPrompt, Lin et al. 2024,
arXiv 2309.00384), with votes over rounds in different orders and early stopping.

Unlike there, items are matched by the numbers in the reply, never by their order; an item without a usable answer stays
for the next round, and what is left after the last one is asked by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import BadRequest, NodeError
from ...orchestrator import Context, ModelRole, Node, Template, TemplateTree, kind
from ...orchestrator.scope import Scope
from ...orchestrator.template import as_text, compile_template
from .answers import Answers, shares, spread
from .outcome import outcome
from .packing import packed
from .reply import plain
from .room import Room, room_for
from .rounds import AskTogether, BatchRounds, Round, Standing, joined, merged
from .stopping import MAY_CHANGE, StopName
from .task import Format, Task, Weighing
from .votes import winner


class Example(BaseModel):
    """An item as it is shown, and its right answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str
    answer: str


@kind("batch")
class Batch(Node):
    """Ask the same of every item of a list, several items to a prompt; the value is the list of answers.

    `batch_size: 1` is plain prompting, one item a call: what the others are measured against.
    """

    items: TemplateTree = Field(description="The list of items.")
    instruction: Template = Field(description="What is asked of every item; it mentions none.")
    item: Template = Field(default="{{ item }}", description="How an item is shown; mentions `item`, maybe `index`.")
    labels: list[str] | dict[str, str] | None = Field(
        default=None, description="What may be answered, maybe with what each label means; null for any short answer."
    )
    examples: list[Example] = Field(default=[], description="Items with their right answers, shown before the others.")
    model: ModelRole = Field(default="large", description="The role that answers.")
    last: ModelRole | None = Field(
        default=None,
        description="The role that is asked, item by item, what is left after the last round; null: `model`, and only "
        "about items for which no label has won.",
    )
    batch_size: int = Field(default=16, ge=1, description="Most items of one prompt; fewer where more do not fit.")
    votes: int = Field(default=1, ge=1, le=99, description="Most rounds, each in another order of the items.")
    vote: Weighing = Field(
        default="majority",
        description="What a vote weighs: majority (all the same), confidence (less where the model says that it is "
        "unsure), logprob (the probability of its tokens).",
    )
    stop: StopName = Field(
        default="exact",
        description="When an item needs no further round: exact (nothing can change who wins), same (the same answer "
        "twice), confident (and sure both times), never.",
    )
    format: Format = Field(default="lines", description="lines (`7: yes`) or json (held to a schema).")
    alpha: float = Field(default=0.2, gt=0, le=1, description="With vote: confidence, what an unsure vote weighs.")
    sure: float = Field(
        default=0.9, gt=0, le=1, description="With vote: logprob, the probability from which on a vote counts as sure."
    )
    answer_tokens: int = Field(default=12, ge=1, description="Most tokens of one answer.")
    seed: int = Field(default=0, description="Of the orders in which items are shown.")

    @model_validator(mode="after")
    def _make_sense(self) -> Batch:
        labels = self.labels
        if labels is not None:
            folded = [plain(label) for label in labels]
            if len(labels) < 2 or "" in folded:
                raise ValueError("labels: give at least two, none of them empty, or null for any answer")
            if len(set(folded)) < len(folded):
                raise ValueError("labels: two of them differ in nothing but their case and marks")
            for example in self.examples:
                if example.answer not in labels:
                    raise ValueError(f"examples: the answer {example.answer!r} is none of the labels")
        if self.stop in MAY_CHANGE and self.votes < 2:
            raise ValueError(f"stop: {self.stop} looks at two rounds; give the node at least 2 votes")
        if self.stop == "confident" and self.vote == "majority":
            raise ValueError("stop: confident needs to know how sure a vote is; say `vote: confidence` or `logprob`")
        if self.vote == "logprob" and self.format == "json":
            raise ValueError("vote: logprob looks for each answer's tokens in a line of its own; say `format: lines`")
        return self

    def references(self) -> frozenset[str]:
        """What is mentioned, but for the item itself."""
        return super().references() - {"item", "index"}

    async def run(self, ctx: Context) -> Answers:
        """Children: `batch-1`, `batch-2`, ... with their rounds, and `left-...` for what is left."""
        shown = self._shown(ctx)
        texts = list(dict.fromkeys(shown))
        if not texts:
            ctx.note("the list is empty")
            return Answers([])
        if len(texts) < len(shown):
            ctx.note(f"{len(shown) - len(texts)} items are the same as others and are asked once")
        task = self._task(ctx)
        room = await room_for(ctx, task, texts, self.model, self.batch_size)
        standing = await self._rounds(ctx, task, texts, room)
        alone = await self._alone(ctx, task, texts, self._left(standing, len(texts)), room)
        if standing.ended_by is not None or alone.ended_by is not None:
            ctx.note(f"ended early: {standing.ended_by or alone.ended_by}")
        outcomes = [outcome(item, standing, alone, room) for item in range(len(texts))]
        refused = [error for error in (standing.refused | alone.refused).values() if isinstance(error, BadRequest)]
        if refused and all(found.answer is None for found in outcomes):
            raise NodeError(f"no item has an answer, since the server refuses the prompts: {refused[0]}")
        costs = shares(len(texts), ctx.calls(), {**standing.asked, **alone.asked})
        return Answers(spread(shown, texts, outcomes, costs))

    def _shown(self, ctx: Context) -> list[str]:
        elements = ctx.render(self.items)
        if not isinstance(elements, Sequence) or isinstance(elements, (str, bytes)):
            raise NodeError(f"items must be a list, not {type(elements).__name__}: {str(elements)[:80]!r}")
        template = compile_template(self.item)
        return [
            as_text(template.render(Scope({"item": element, "index": index}, ctx.values)))
            for index, element in enumerate(elements)
        ]

    def _task(self, ctx: Context) -> Task:
        labels = self.labels
        return Task(
            instruction=ctx.text(self.instruction).strip(),
            labels=dict.fromkeys(labels, "") if isinstance(labels, list) else labels,
            format=self.format,
            examples=tuple((example.item, example.answer) for example in self.examples),
            weighing=self.vote,
            asks_confidence=self.vote == "confidence",
            alpha=self.alpha,
            sure=self.sure,
            answer_tokens=self.answer_tokens,
        )

    async def _rounds(self, ctx: Context, task: Task, texts: Sequence[str], room: Room) -> Standing:
        """Every batch with its rounds, all at once; what does not fit in the context is not asked here."""
        fitting = [item for item in range(len(texts)) if item not in room.too_large]
        batches = packed([room.sizes[item] for item in fitting], self.batch_size, room.most)
        nodes = {
            f"batch-{number}": BatchRounds(
                task=task,
                texts={fitting[place]: texts[fitting[place]] for place in batch},
                model=self.model,
                last=self.votes,
                stop=self.stop,
                seed=f"{self.seed}/{number}",
                purpose="answer" if self.votes == 1 else "vote",
                instruction=room.instruction,
            )
            for number, batch in enumerate(batches, start=1)
        }
        found: list[Standing] = list((await ctx.expand(nodes)).values())
        return merged(found)

    def _left(self, standing: Standing, number: int) -> list[int]:
        """The items that are asked once more, each by itself."""
        undecided = standing.undecided if self.last is not None and self.stop in MAY_CHANGE else ()
        asked_alone = {items[0] for items in standing.asked.values() if len(items) == 1} if self.last is None else set()
        return [
            item
            for item in range(number)
            if item in undecided or (winner(standing.votes.get(item, ())) is None and item not in asked_alone)
        ]

    async def _alone(self, ctx: Context, task: Task, texts: Sequence[str], left: Sequence[int], room: Room) -> Round:
        """The items that are left, each in a prompt of its own."""
        model = self.last or self.model
        if left and self.last is not None:
            room = await room_for(ctx, task, texts, model, 1)
        nodes = {
            f"left-{item}": AskTogether(task=task, texts={item: texts[item]}, model=model, purpose="answer")
            for item in left
            if item not in room.too_large
        }
        return joined(list((await ctx.expand(nodes)).values()) if nodes else [])
