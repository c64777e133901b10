"""Context: what a node has in its hands while it runs."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..accounting.budget import BudgetScope
from ..accounting.call import Call, Owner
from ..backends.request import ADDED, MARKS, Completion, Delta, Message, OnDelta, Request
from ..errors import BudgetExceeded, LaconicError, LedgerError, NodeError, ReplayMiss, TokenizerUnavailable, ToolError
from .events import TokenDelta
from .registry import nearest
from .shown import as_data
from .template import as_text, compile_template, render_tree
from .tool import Tool

if TYPE_CHECKING:
    from ..accounting.meter import MeteredModel
    from ..backends.backend import Count, ServerFacts
    from .flow import Flow
    from .node import Node
    from .run import Run

Prompt = str | Sequence[Mapping[str, Any] | Message]
"""One user message as text, or the messages of a chat as mappings with `role` and `content`."""


class Context:
    """Passed to `Node.run` and `Tool.call`. Everything that asks a model goes through `complete`, hence the meter."""

    __slots__ = ("agent", "attempt", "budget", "heard", "item", "notes", "path", "run", "values")

    def __init__(
        self,
        run: Run,
        path: str,
        values: Mapping[str, Any],
        item: str,
        budget: BudgetScope | None,
        attempt: int = 1,
        heard: list[Completion] | None = None,
    ) -> None:
        self.run = run
        self.path = path
        """Where the node stands, such as `answer/E2` or `each[3]`."""
        self.values = values
        """Inputs and finished nodes that are visible here, by name."""
        self.item = item
        self.budget = budget
        self.attempt = attempt
        """1, or more if the node's `retry`, or that of one above, runs it again."""
        self.heard = heard
        """Where every answer of a model goes as well, if somebody above listens, see `expand`."""
        self.notes: list[str] | None = None
        self.agent = ""
        """Whose calls these are where `complete` does not say, those of its tools too."""

    @property
    def run_id(self) -> str:
        """The run's name in the ledger."""
        return self.run.id

    @property
    def flow(self) -> Flow:
        """The flow this node belongs to."""
        return self.run.flow

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The flow's tools by name."""
        return self.run.flow.tools

    def render(self, template: Any) -> Any:
        """A template, or a tree of them, with the visible values filled in."""
        if isinstance(template, str):
            return compile_template(template).render(self.values)
        return render_tree(template, self.values)

    def text(self, template: str) -> str:
        """A template as text, whatever its value is."""
        return as_text(self.render(template))

    def note(self, remark: str) -> None:
        """Say something about how this node went; `Result.explain()` shows it."""
        if self.notes is None:
            self.notes = []
        self.notes.append(remark)

    def cut_short(self, error: BudgetExceeded) -> None:
        """Say that a budget kept this node from doing all it wanted: its value stands, the run ends with `budget`."""
        self.run.walls.append(error)
        self.note(f"ended early: {error}")

    def complete(
        self,
        prompt: Prompt | None = None,
        *,
        model: str,
        purpose: str = "answer",
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        logprobs: int | None = None,
        prompt_logprobs: bool = False,
        raw: str | None = None,
        prompt_token_ids: Iterable[int] | None = None,
        sample: int = 0,
        extra: Mapping[str, Any] | None = None,
        agent: str = "",
        stream: bool | None = None,
        instruction: int | None = None,
        aside: bool = False,
    ) -> Coroutine[Any, Any, Completion]:
        """Ask the model in the role `model`. What is not said here comes from the model's spec.

        `raw`: a text that the model is given as it is, in place of a chat. `prompt_logprobs`: also say how likely each
        token of the prompt was.
        `instruction`: how many of the prompt's tokens are the same in every call of its batch, if they were counted.
        `aside`: it is no answer yet; nobody above hears it before `hear` says so.

        Raises BackendError, BudgetExceeded, and NodeError for a role that the flow does not have.
        """
        run = self.run
        metered = self._model(model)
        spec = run.flow.models.get(model)
        if spec is not None:
            temperature = spec.temperature if temperature is None else temperature
            max_tokens = spec.max_tokens if max_tokens is None else max_tokens
            top_p = spec.top_p if top_p is None else top_p
            seed = spec.seed if seed is None else seed
            stream = spec.stream if stream is None else stream
            if spec.extra:
                extra = {**spec.extra, **(extra or {})}
        request = Request(
            model=metered.backend.model,
            messages=_messages(prompt) if prompt is not None else None,
            prompt=raw,
            prompt_token_ids=tuple(prompt_token_ids) if prompt_token_ids is not None else None,
            max_tokens=max_tokens,
            temperature=temperature or 0.0,
            top_p=top_p,
            seed=seed,
            stop=tuple(stop),
            schema=schema,
            logprobs=0 if logprobs is None and self.heard is not None and not aside else logprobs,
            prompt_logprobs=prompt_logprobs,
            extra=dict(extra) if extra else {},
            # A node that is run again must not be answered with what failed it.
            sample=sample + (self.attempt - 1) * 1_000_000,
        )
        on_delta: OnDelta | None = None
        if run.wants_tokens or stream:
            on_delta = self._teller(model)
        asked = run.meter.complete(
            metered,
            request,
            owner=Owner(run.id, self.path, self.item, agent or self.agent),
            purpose=purpose,
            scope=self.budget,
            on_delta=on_delta,
            instruction=instruction,
        )
        return asked if self.heard is None or aside else _overheard(asked, self.heard)

    def hear(self, completion: Completion) -> None:
        """Take what was asked for `aside` as an answer, which whoever listens above hears."""
        if self.heard is not None:
            self.heard.append(completion)

    async def facts(self, model: str) -> ServerFacts:
        """What the server behind the role `model` is and can. Raises NodeError for a role that there is not."""
        return await self._model(model).backend.facts()

    async def count(self, prompt: Prompt, *, model: str) -> Count:
        """The tokens of a prompt for the role `model`. Raises TokenizerUnavailable, NodeError for an unknown role."""
        return await self._count(model, messages=_messages(prompt))

    async def token_ids(self, prompt: Prompt, *, model: str) -> tuple[int, ...]:
        """The tokens of a prompt for the role `model`. Raises TokenizerUnavailable also where they are not told."""
        return _told(await self.count(prompt, model=model), model)

    async def tokens(self, text: str, *, model: str, marks: bool = False) -> tuple[int, ...]:
        """The tokens that the role `model` has for a text which is no prompt: nothing is added to it.

        `marks`: what is called like a special token is one; only for texts of which every part is known. Else it is
        text; for vLLM, whose tokenizer cannot be told so, the separators of chat templates are broken by a space.
        Raises TokenizerUnavailable if its server does not tell them, NodeError for an unknown role.
        """
        if not text:
            return ()
        extra = {ADDED: False, MARKS: marks}
        if not marks and (await self.facts(model)).server == "vllm":
            text = as_data(text)  # its tokenizer has no way to be asked for text alone
        return _told(await self._count(model, prompt=text, extra=extra), model)

    async def _count(self, model: str, **request: Any) -> Count:
        backend = self._model(model).backend
        try:
            return await backend.count(Request(model=backend.model, **request))
        except ReplayMiss as error:
            raise TokenizerUnavailable("a recording can count no prompt that was not sent") from error

    def calls(self) -> Sequence[Call]:
        """The calls of this node so far, those of all below it included, in the order they ended."""
        return self.run.meter.ledger.select(run=self.run.id, item=self.item, under=self.path).calls

    def latest_call(self) -> Call:
        """The call of this node itself that ended last. Raises NodeError if there is none."""
        call = self.run.meter.ledger.latest(run=self.run.id, item=self.item, node=self.path)
        if call is None:
            raise NodeError("no model has been asked yet", path=self.path)
        return call

    @property
    def reuses(self) -> bool:
        """Whether calls that the store has answers to are not sent again."""
        return self.run.meter.reuse and self.run.meter.store is not None

    def remember(self, key: str, value: dict[str, Any]) -> None:
        """Keep what was found out (plain data) for later nodes and runs, if the runtime has a store for it."""
        store = self.run.runtime.findings(self.run.id)
        if store is not None:
            store.remember(key, msgspec.json.encode(value))

    def recall(self, key: str) -> dict[str, Any] | None:
        """What is remembered under `key`; None if nothing is, or the run does not look. Raises LedgerError."""
        store = self.run.runtime.findings(self.run.id)
        found = None if store is None else store.recall(key)
        if found is None:
            return None
        try:
            return msgspec.json.decode(found, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise LedgerError(
                f"what the store remembers under {key!r} is no JSON object ({error}); delete that row of the table "
                "`findings`, and it is found out anew"
            ) from error

    def discard(self, child: str) -> None:
        """Say that what the node `child`, which this one expanded into, answered is not used.

        Its calls, and those of all below it, are `discarded` in the ledger; their tokens stay in the bill.
        """
        self.run.meter.ledger.discard(run=self.run.id, item=self.item, node=f"{self.path}/{child}")

    def discard_call(self, call: Call, tokens: int | None = None) -> None:
        """Say the same of one call of this node (`latest_call`), or of so many of the tokens that it generated."""
        self.run.meter.ledger.discard_call(call, tokens)

    async def tool(self, name: str, text: str | None = None, /, **args: Any) -> Any:
        """Call a tool of the flow; `text` fills its first argument. Raises ToolError, fit to become evidence."""
        tool = self.tools.get(name)
        if tool is None:
            raise ToolError(f"there is no tool {name!r}{nearest(name, list(self.tools))}")
        arguments = tool.parse(text, args)
        try:
            return await tool.call(self, arguments)
        except LaconicError:
            raise
        except Exception as error:  # a tool is other people's code: what it raises must not kill its siblings
            raise ToolError(f"the tool {name} failed: {type(error).__name__}: {error}") from error

    async def expand(self, nodes: Mapping[str, Node], *, heard: list[Completion] | None = None) -> dict[str, Any]:
        """Add `nodes` below this one to the running graph, and wait for them: name -> value.

        Each starts the moment what it mentions is there. `heard` gets every completion that they, and all below them,
        are answered; they are then asked for with logprobs. Raises the first failure after all have ended.
        """
        from .executor import Execution
        from .graph import Graph

        graph = Graph(nodes, frozenset(self.values))
        execution = Execution(
            self.run,
            graph,
            self.values,
            prefix=f"{self.path}/",
            item=self.item,
            budget=self.budget,
            heard=self.heard if heard is None else heard,
            attempt=self.attempt,
        )
        await execution.execute()
        if heard is not None and self.heard is not None:
            self.heard.extend(heard)
        if execution.error is not None:
            raise execution.error
        return execution.values.own

    def _model(self, role: str) -> MeteredModel:
        metered = self.run.models.get(role)
        if metered is None:
            raise NodeError(f"the flow has no model {role!r}{nearest(role, list(self.run.models))}", path=self.path)
        return metered

    def _teller(self, model: str) -> OnDelta:
        run = self.run

        def tell(delta: Delta) -> None:
            if run.on_event is not None:
                run.on_event(TokenDelta(run.id, self.path, model, delta.text, self.item))

        return tell


def _told(count: Count, model: str) -> tuple[int, ...]:
    if count.ids is None:
        raise TokenizerUnavailable(f"the server of {model!r} counts tokens, but does not tell them")
    return count.ids


async def _overheard(asked: Coroutine[Any, Any, Completion], heard: list[Completion]) -> Completion:
    completion = await asked
    heard.append(completion)
    return completion


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    return tuple(
        turn if isinstance(turn, Message) else Message(turn["role"], turn["content"], turn.get("name"))
        for turn in prompt
    )
