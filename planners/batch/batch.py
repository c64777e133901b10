"""`kind: batch`: many small questions that share one instruction, several to a prompt (BatchPrompt, Lin et al. 2024,
arXiv 2309.00384), with votes over rounds in different orders and early stopping.

Unlike there, items are matched by the numbers in the reply, never by their order; an item without a usable answer stays
for the next round, and what is left after the last one is asked by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from ...errors import BadRequest, NodeError
from ...orchestrator import Context, ModelRole, Node, Template, TemplateTree, kind
from ...orchestrator.template import tree_references
from ..items import listed, shown_items
from .answers import Answers, shares, spread
from .auto import SIZES, VOTES, sized
from .batches import in_batches
from .choice import Search, Way
from .labelled import Labelled, read_labelled
from .outcome import left_over, outcome
from .progress import Progress, followed
from .reply import plain
from .room import Room, room_for
from .rounds import AskTogether, Round, Standing, joined, merged
from .sizing import Sized
from .stopping import MAY_CHANGE, StopName, rule_for
from .task import Format, Task, Weighing


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
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default=16,
        description="Most items of one prompt, fewer where more do not fit; auto: measured on a sample, the cheapest "
        "that keeps the accuracy.",
    )
    votes: Annotated[int, Field(ge=1, le=99)] | Literal["auto"] = Field(
        default=1, description="Most rounds, each in another order of the items; auto: 1, 3 or 5, as measured."
    )
    accuracy_floor: float = Field(
        default=0.98, gt=0, lt=1, description="With auto: what part of single prompting's accuracy must be kept."
    )
    calibration: Path | None = Field(
        default=None,
        description="With auto: a JSONL file of items with their right answers (`answer`, and `item` or the fields of "
        "the item) to measure on, relative to the flow's folder; null: some of the items, held against what single "
        "prompting says of them.",
    )
    calibration_items: int = Field(
        default=100, ge=1, description="With auto and no calibration file: how many of the items are measured on."
    )
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
    seed: int = Field(default=0, description="Of the orders in which items are shown, and of the sample.")

    _labelled: list[Labelled] | None = PrivateAttr(default=None)

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
        if self.calibration is not None and "auto" not in (self.batch_size, self.votes):
            raise ValueError(
                "calibration: it is measured on for `batch_size: auto` or `votes: auto`; write one of them"
            )
        if self.batch_size == 1 and self.votes == "auto":
            raise ValueError("votes: auto: nothing is cheaper than one vote of a single prompt; write a batch_size")
        if self.stop in MAY_CHANGE and self.votes != "auto" and self.votes < 2:
            raise ValueError(f"stop: {self.stop} looks at two rounds; give the node at least 2 votes")
        if self.stop == "confident" and self.vote == "majority":
            raise ValueError("stop: confident needs to know how sure a vote is; say `vote: confidence` or `logprob`")
        if self.vote == "logprob" and self.format == "json":
            raise ValueError("vote: logprob looks for each answer's tokens in a line of its own; say `format: lines`")
        return self

    def references(self) -> frozenset[str]:
        """What is mentioned, but for the item itself where it is shown."""
        return super().references() - (tree_references(self.item) & {"item", "index"}) | self._mentioned_elsewhere()

    def _mentioned_elsewhere(self) -> frozenset[str]:
        """`item` and `index` in other fields, where they mean something only under `for_each`."""
        found = tree_references(self.instruction) | tree_references(self.items)
        return found & {"item", "index"} if self.for_each is None else frozenset()

    def check(self, base: Path) -> None:
        """Read the calibration file. Raises FlowError, and InputError naming the line that is not valid."""
        if self.calibration is not None:
            self._labelled = read_labelled(base, self.calibration, None if self.labels is None else list(self.labels))

    async def run(self, ctx: Context) -> Answers:
        """Children: `batch-1`, `batch-2`, ... with their rounds, `left-...` for what is left, and `calibration`."""
        shown = shown_items(ctx, listed(ctx, self.items, "items"), self.item)
        texts = list(dict.fromkeys(shown))
        if not texts:
            ctx.note("the list is empty")
            return Answers([])
        if len(texts) < len(shown):
            ctx.note(f"{len(shown) - len(texts)} items are the same as others and are asked once")
        task = self._task(ctx)
        found = await self._sized(ctx, task, texts)
        way, sample = found.way, found.singly
        room = await room_for(ctx, task, texts, self.model, way.size)
        often = Counter(shown)
        progress = await followed(ctx, task, [often[text] for text in texts], self.model, room.instruction)
        measured = ctx.calls()
        if measured:
            progress.calibrated(sample.votes, measured, found.single)
        rest = [item for item in range(len(texts)) if item not in sample.votes]
        standing = await self._rounds(ctx, task, {item: texts[item] for item in rest}, room, way, progress)
        left = left_over(rest, standing, rule_for(self.stop, way.votes), self.last)
        if self.last is not None:
            left += [item for item, vote in sample.votes.items() if vote is None]
        alone = await self._alone(ctx, task, texts, left, room, progress)
        progress.decided(range(len(texts)))
        ended_by = found.ended_by or standing.ended_by or alone.ended_by
        if ended_by is not None:
            ctx.cut_short(ended_by)
        outcomes = [outcome(item, standing, alone, room, sample) for item in range(len(texts))]
        refused = [error for error in (standing.refused | alone.refused).values() if isinstance(error, BadRequest)]
        if refused and all(detail.answer is None for detail in outcomes):
            raise NodeError(f"no item has an answer, since the server refuses the prompts: {refused[0]}")
        costs = shares(len(texts), ctx.calls(), {**standing.asked, **alone.asked})
        return Answers(spread(shown, texts, outcomes, costs))

    async def _sized(self, ctx: Context, task: Task, texts: Sequence[str]) -> Sized:
        """How many at once and how many votes: as written, or the cheapest that keeps the accuracy."""
        if self.batch_size != "auto" and self.votes != "auto":
            return Sized(Way(self.batch_size, self.votes))
        search = Search(
            sizes=SIZES if self.batch_size == "auto" else (self.batch_size,),
            votes=VOTES if self.votes == "auto" else (self.votes,),
            floor=self.accuracy_floor,
            model=self.model,
            last=self.last,
            stop=self.stop,
            seed=self.seed,
            item=self.item,
        )
        labelled = None
        if self.calibration is not None:
            if self._labelled is None:
                self.check(ctx.flow.base)
            assert self._labelled is not None
            shown = shown_items(ctx, [item for item, _ in self._labelled], self.item)
            labelled = {text: answer for text, (_, answer) in zip(shown, self._labelled, strict=True)}
        found = await sized(ctx, task, search, texts, labelled, self.calibration_items)
        for remark in found.remarks:
            ctx.note(f"auto: {remark}")
        return found

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

    async def _rounds(
        self, ctx: Context, task: Task, texts: Mapping[int, str], room: Room, way: Way, progress: Progress
    ) -> Standing:
        """Every batch with its rounds, all at once; what does not fit in the context is not asked here."""
        nodes = in_batches(
            texts,
            room,
            way,
            task=task,
            model=self.model,
            stop=rule_for(self.stop, way.votes),
            seed=self.seed,
            purpose="answer" if way.votes == 1 else "vote",
            progress=progress,
        )
        found: list[Standing] = list((await ctx.expand(nodes)).values()) if nodes else []
        return merged(found)

    async def _alone(
        self, ctx: Context, task: Task, texts: Sequence[str], left: Sequence[int], room: Room, progress: Progress
    ) -> Round:
        """The items that are left, each in a prompt of its own."""
        model = self.last or self.model
        if left and self.last is not None:
            room = await room_for(ctx, task, texts, model, 1)
        nodes = {
            f"left-{item}": AskTogether(
                task=task, texts={item: texts[item]}, model=model, purpose="answer", progress=progress
            )
            for item in left
            if item not in room.too_large
        }
        return joined(list((await ctx.expand(nodes)).values()) if nodes else [])
