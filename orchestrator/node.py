"""Node: one step of a flow, as its author writes it. A kind is a subclass that knows how to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ..accounting.budget import Budget
from .part import ModelRole, Part, ToolName
from .registry import Registry
from .template import Template, TemplateTree, tree_references

if TYPE_CHECKING:
    from .context import Context

__all__ = ["KINDS", "Fallback", "ModelRole", "Node", "Retry", "ToolName", "kind"]


MOST_ATTEMPTS = 100


class Retry(BaseModel):
    """How often a failed node is run again, and how long it waits (seconds, doubling, with jitter)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=2, ge=2, le=MOST_ATTEMPTS, description="How often the node may run in all.")
    wait: float = Field(default=0.0, ge=0, description="Seconds before the first repetition; doubles with each.")
    most: float = Field(default=60.0, ge=0, description="Longest wait, in seconds.")


class Fallback(BaseModel):
    """What a node's value becomes when it fails."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: TemplateTree = Field(description="A value or template, used as the node's value.")


class Node(Part):
    """What every node may say, whatever its kind."""

    when: Template | None = Field(default=None, description="Run only if this is true; otherwise the value is null.")
    for_each: TemplateTree = Field(
        default=None,
        description="Run once for each element of this list, as `item` (and `index`); the value is the list of values.",
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        description="With for_each: how many elements are under way at once; 256 if not given, and as many as it takes "
        "to choose well where calls are sent in the order of a server's prefix cache.",
    )
    budget: Budget | None = Field(default=None, description="A wall for all that this node spends.")
    retry: Retry | None = Field(default=None, description="Run the node again when it fails.")
    timeout: float | None = Field(default=None, gt=0, description="Seconds after which the node fails.")
    on_error: Literal["fail", "skip"] | Fallback = Field(
        default="fail",
        description="fail: what depends on it is cancelled; skip: the value is null; {value: ...}: that value.",
    )

    async def run(self, ctx: Context) -> Any:
        """Do the step and return its value."""
        raise TypeError(f"the kind {type(self).__name__} does not say how it runs")  # a kind's author forgot `run`

    def holds(self) -> tuple[str, ...]:
        """Names of nodes of the flow that this node runs itself, if and when it wants to: nobody else starts them."""
        return ()

    def references(self) -> frozenset[str]:
        """Names of the inputs and nodes that must be there before this node starts."""
        mentioned = super().references()
        if isinstance(self.on_error, Fallback):
            mentioned |= tree_references(self.on_error.value)
        return mentioned - {"item", "index"} if self.for_each is not None else mentioned

    @property
    def plain(self) -> bool:
        """Whether nothing but `run` decides what happens."""
        return (
            self.when is None
            and self.for_each is None
            and self.budget is None
            and self.retry is None
            and self.timeout is None
            and self.on_error == "fail"
        )


KINDS: Registry[Node] = Registry("kind of node", "laconic.kinds")

NodeType = TypeVar("NodeType", bound=Node)


def kind(name: str) -> Callable[[type[NodeType]], type[NodeType]]:
    """Class decorator: make a Node subclass known to flows as `kind: name`."""
    return KINDS.named(name)
