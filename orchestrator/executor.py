"""The executor: runs a graph. A node starts the moment what it mentions is there.

The schedule is a counter for each node. Whoever finishes a node counts down those that wait for it, goes on with the
first that became ready, and starts a task for each further one: no polling, no barrier, no task per waiting node. A
node that fails blocks what depends on it and nothing else. Everything runs inside one task group, so that cancelling a
run cancels all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from ..accounting.budget import Budget, BudgetScope
from ..backends.request import Completion
from ..errors import BackendError, BudgetExceeded, FlowError, LaconicError, NodeError
from .context import Context
from .graph import Graph
from .node import MOST_ATTEMPTS, Fallback, Node, Retry
from .run import Run
from .scope import Scope
from .template import compile_template, render_tree

AT_ONCE = 256
"""Elements of a `for_each` that are under way at once, where nothing says otherwise."""


class Execution:
    """One graph on its way: the run's own, or one that a node expanded into.

    After `execute`, `values.own` holds the value of every node that ended well (None if skipped) and `error` the first
    failure that nothing handled.
    """

    __slots__ = (
        "_blocked",
        "_tasks",
        "_waiting",
        "attempt",
        "budget",
        "error",
        "graph",
        "heard",
        "item",
        "prefix",
        "run",
        "values",
    )

    def __init__(
        self,
        run: Run,
        graph: Graph,
        outer: Mapping[str, Any],
        *,
        prefix: str = "",
        item: str = "",
        budget: BudgetScope | None = None,
        heard: list[Completion] | None = None,
        attempt: int = 1,
    ) -> None:
        self.attempt = attempt
        """Which attempt of the node above this is: what failed it must not answer below it either."""
        self.run = run
        self.graph = graph
        self.values = Scope({}, outer)
        self.prefix = prefix
        self.item = item
        self.budget = budget
        self.heard = heard
        self.error: LaconicError | None = None
        self._waiting = list(graph.indegree)
        self._blocked = bytearray(len(graph.nodes))
        self._tasks: asyncio.TaskGroup

    async def execute(self) -> None:
        """Run every node whose inputs come to be there; return when nothing more can run."""
        ready = [number for number, count in enumerate(self.graph.indegree) if count == 0]
        if not ready:
            return
        async with asyncio.TaskGroup() as self._tasks:
            for number in ready[1:]:
                self._tasks.create_task(self._follow(number))
            await self._follow(ready[0])

    async def _follow(self, number: int) -> None:
        """Run node `number`, then one by one what becomes ready behind it."""
        names, waiting, blocked, successors = self.graph.names, self._waiting, self._blocked, self.graph.successors
        while True:
            ok = False
            if blocked[number]:
                self._cancelled(number)
            else:
                try:
                    self.values.own[names[number]] = await self._node(number)
                    ok = True
                except LaconicError as error:
                    if self.error is None:
                        self.error = error
            following = -1
            for after in successors[number]:
                if not ok:
                    blocked[after] = 1
                waiting[after] -= 1
                if waiting[after] == 0:
                    if following < 0:
                        following = after
                    else:
                        self._tasks.create_task(self._follow(after))
            if following < 0:
                return
            number = following

    def _node(self, number: int) -> Coroutine[Any, Any, Any]:
        """What runs node `number` and returns its value; raises LaconicError only."""
        node, plain = self.graph.nodes[number], self.graph.plain[number]
        path = self.prefix + self.graph.names[number]
        if plain or node.for_each is None:
            return self._recorded(node, path, self.values, self.item, self.budget, plain=plain)
        return self._each(node, path)

    def _cancelled(self, number: int) -> None:
        record = self.run.begin(self.prefix + self.graph.names[number], self.graph.nodes[number].kind, self.item)
        self.run.end(record, "cancelled", "something it depends on failed")

    async def _each(self, node: Node, path: str) -> list[Any]:
        """`for_each`: the elements are nodes `path[0]`, `path[1]`, ..., `concurrency` of them under way at once."""
        run, values = self.run, self.values
        record = run.begin(path, node.kind, self.item)
        try:
            elements = _elements(render_tree(node.for_each, values))
            results: list[Any] = [None] * len(elements)
            failures: list[LaconicError] = []
            plain = node.when is None and node.retry is None and node.timeout is None and node.on_error == "fail"
            scope = self._narrowed(node.budget, path)
            numbers = iter(range(len(elements)))

            async def worker() -> None:
                for index in numbers:
                    here = Scope({"item": elements[index], "index": index}, values)
                    item = self.item or str(index)
                    try:
                        results[index] = await self._recorded(
                            node, f"{path}[{index}]", here, item, scope, plain=plain, element=True
                        )
                    except LaconicError as error:
                        failures.append(error)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(node.concurrency or run.horizon or AT_ONCE, len(elements))):
                    tasks.create_task(worker())
            if failures:
                raise failures[0]
        except LaconicError as error:
            run.end(record, "failed", str(error))
            raise
        except asyncio.CancelledError:
            run.end(record, "cancelled")
            raise
        run.end(record, "ok")
        return results

    async def _recorded(
        self,
        node: Node,
        path: str,
        values: Scope,
        item: str,
        budget: BudgetScope | None,
        *,
        plain: bool,
        element: bool = False,
    ) -> Any:
        """Run a node, or an element of one, and record how it went. Raises LaconicError only."""
        run = self.run
        record = run.begin(path, node.kind, item)
        ctx = Context(run, path, values, item, budget, self.attempt, self.heard)
        try:
            if plain:
                value = await node.run(ctx)
            else:
                if node.when is not None and not compile_template(node.when).render(values):
                    run.end(record, "skipped")
                    return None
                if not element:
                    ctx.budget = self._narrowed(node.budget, path)
                value = await self._persistently(node, ctx)
        except asyncio.CancelledError:
            run.end(record, "cancelled", notes=ctx.notes)
            raise
        except Exception as error:
            failure = _as_failure(error, path)
            run.end(record, "failed", str(failure), ctx.notes)
            if node.on_error == "skip":
                return None
            if isinstance(node.on_error, Fallback):
                return render_tree(node.on_error.value, values)
            if failure is error:
                raise  # `from` itself would make it its own cause
            raise failure from error
        run.end(record, "ok", notes=ctx.notes)
        return value

    async def _persistently(self, node: Node, ctx: Context) -> Any:
        """Run a node under its `retry` and `timeout`."""
        if node.retry is None:
            return await _timely(node, ctx)
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        patience: Retry = node.retry
        above = (ctx.attempt - 1) * MOST_ATTEMPTS
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(patience.attempts),
            wait=wait_random_exponential(multiplier=patience.wait, max=patience.most),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        ):
            with attempt:
                ctx.attempt = above + attempt.retry_state.attempt_number
                value = await _timely(node, ctx)
        return value

    def _narrowed(self, budget: Budget | None, path: str) -> BudgetScope | None:
        return self.budget if budget is None else BudgetScope(budget, path, parent=self.budget)


async def _timely(node: Node, ctx: Context) -> Any:
    """Run a node within its `timeout` and within the seconds of its budget."""
    seconds = node.budget.seconds if node.budget is not None else None
    allowed = min((limit for limit in (node.timeout, seconds) if limit is not None), default=None)
    if allowed is None:
        return await node.run(ctx)
    try:
        async with asyncio.timeout(allowed) as deadline:
            return await node.run(ctx)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        if allowed == seconds:
            raise BudgetExceeded(
                f"the node {ctx.path} took longer than its budget of {allowed:g} s",
                scope=ctx.path,
                unit="seconds",
                limit=allowed,
            ) from error
        raise NodeError(f"the node {ctx.path} took longer than its timeout of {allowed:g} s", path=ctx.path) from error


def _elements(value: Any) -> Sequence[Any]:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    raise NodeError(f"for_each needs a list, not {type(value).__name__}: {str(value)[:80]!r}")


def _may_pass(error: BaseException) -> bool:
    """Whether running the node again can help."""
    if isinstance(error, BackendError):
        return error.retryable
    return isinstance(error, Exception) and not isinstance(error, (BudgetExceeded, FlowError))


def _as_failure(error: Exception, path: str) -> LaconicError:
    """What a node raised, as an error of ours: a kind is other people's code."""
    if isinstance(error, NodeError) and not error.path:
        error.path = path
    if isinstance(error, LaconicError):
        return error
    return NodeError(f"the node {path} failed: {type(error).__name__}: {error}", path=path)
