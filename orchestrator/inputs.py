"""The inputs of a flow: what they are called, what they must be, what they are if not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ..errors import FlowError, InputError
from .registry import nearest

TypeName = Literal["str", "int", "float", "bool", "list", "dict", "any"]
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list, tuple),
    "dict": (dict,),
    "any": (object,),
}


class InputSpec(BaseModel):
    """One input. In YAML `question: str`, or `question: {type: str, default: ..., description: ...}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: TypeName = "str"
    description: str = ""
    default: Any = Field(
        default=None, description="Used when the input is not given; an input without one is required."
    )

    @classmethod
    def of(cls, written: Any) -> Self:
        """An input as a flow's author writes it: a type's name, a Python type, a mapping, or a spec."""
        if isinstance(written, cls):
            return written
        if isinstance(written, type):
            written = "any" if written is object else written.__name__
        if isinstance(written, str):
            if written not in _TYPES:
                raise FlowError(f"there is no input type {written!r}{nearest(written, list(_TYPES))}")
            written = {"type": written}
        return cls.model_validate(written)

    @property
    def required(self) -> bool:
        """Whether a run must be given this input."""
        return "default" not in self.model_fields_set

    def written(self) -> Any:
        """The shortest spelling."""
        return self.type if self.model_fields_set <= {"type"} else self.model_dump(exclude_unset=True)

    def accept(self, name: str, value: Any) -> Any:
        """`value` as this type. Text is read as a number or truth value where one is asked for. Raises InputError."""
        if isinstance(value, _TYPES[self.type]) and not (isinstance(value, bool) and self.type in ("int", "float")):
            return value
        if isinstance(value, str) and self.type in ("int", "float"):
            try:
                return int(value) if self.type == "int" else float(value)
            except ValueError:
                pass
        if isinstance(value, str) and self.type == "bool" and value.lower() in ("true", "false", "yes", "no"):
            return value.lower() in ("true", "yes")
        raise InputError(f"the input {name!r} must be {self.type}, not {type(value).__name__}: {str(value)[:80]!r}")


def accept_inputs(specs: Mapping[str, InputSpec], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a run was given. Raises InputError for a missing, unknown or mistyped input."""
    for name in given:
        if name not in specs:
            raise InputError(f"the flow has no input {name!r}{nearest(name, list(specs))}")
    missing = [name for name, spec in specs.items() if spec.required and name not in given]
    if missing:
        raise InputError(f"the flow needs the input {', '.join(map(repr, missing))}")
    return {name: spec.accept(name, given[name]) if name in given else spec.default for name, spec in specs.items()}
