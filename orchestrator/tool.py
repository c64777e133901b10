"""Tool: what a plan may call. A name, a description, typed arguments, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ..errors import ToolError
from .registry import Registry

if TYPE_CHECKING:
    from .context import Context


class Tool(BaseModel):
    """One tool as a flow configures it. Its fields are its configuration, `Arguments` is what a caller passes."""

    model_config = ConfigDict(extra="forbid")

    kind: ClassVar[str] = ""

    class Arguments(BaseModel):
        """What a caller passes; the first field is the one that a text call `name[...]` fills."""

        model_config = ConfigDict(extra="forbid")

    description: str = Field(default="", description="What the tool does and when to use it; shown to the model.")

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    async def call(self, ctx: Context, args: Any) -> Any:
        """Do what is asked; `args` is an instance of `Arguments`. Raises ToolError, its message fit to be evidence."""
        raise TypeError(f"the tool {type(self).__name__} does not say what it does")  # a tool's author forgot `call`

    def check(self) -> None:
        """Look whether the configuration can work, when the flow is loaded. Raises FlowError."""

    def at(self, base: Path) -> None:
        """Relative paths in the configuration are meant from `base` on (the flow file's folder)."""
        self._base = base

    def locate(self, path: str | Path) -> Path:
        """A configured path, made absolute."""
        return (self._base / Path(path).expanduser()).resolve()

    @classmethod
    def argument(cls) -> str:
        """The name of the argument that a text call fills; empty if the tool takes none."""
        return next(iter(cls.Arguments.model_fields), "")

    def parse(self, text: str | None, args: dict[str, Any]) -> BaseModel:
        """Check what a caller passed against `Arguments`. Raises ToolError that says what was wrong."""
        given = dict(args)
        if text is not None:
            name = self.argument()
            if not name:
                raise ToolError(f"the tool {self.kind} takes no argument")
            given[name] = text
        try:
            return self.Arguments.model_validate(given)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ToolError(f"wrong arguments for the tool {self.kind}: {problems}") from error


TOOLS: Registry[Tool] = Registry("tool", "laconic.tools")

ToolType = TypeVar("ToolType", bound=Tool)


def tool(name: str) -> Callable[[type[ToolType]], type[ToolType]]:
    """Class decorator: make a Tool subclass known to flows as `kind: name`."""
    return TOOLS.named(name)
