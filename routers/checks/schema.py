"""`accept: {kind: schema, ...}`: the answer is JSON as a JSON Schema describes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from ...errors import FlowError
from ..check import Answer, Check, Judgement, check

if TYPE_CHECKING:
    from ...orchestrator.context import Context

_FENCED = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)


@check("schema")
class Schema(Check):
    """Text is read as JSON, with or without a code fence around it; needs the package jsonschema."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    json_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the answer.")

    def check(self, base: Path) -> None:
        """See whether the schema is one. Raises FlowError."""
        validator, problems = _jsonschema()
        try:
            validator.check_schema(self.json_schema)
        except problems as error:
            raise FlowError(f"the schema is no JSON Schema: {error.message}") from error

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes if the answer, or the JSON that it is the text of, is as the schema says."""
        value = answer.value
        if isinstance(value, str):
            fenced = _FENCED.fullmatch(value)
            try:
                value = json.loads(fenced[1] if fenced is not None else value)
            except (ValueError, RecursionError) as error:
                return Judgement(False, f"is not JSON ({error})")
        validator, _ = _jsonschema()
        problem = next(validator(self.json_schema).iter_errors(value), None)
        if problem is None:
            return Judgement(True, "is as the schema says")
        return Judgement(False, f"is not as the schema says: {problem.json_path}: {problem.message[:200]}")


def _jsonschema() -> tuple[Any, type[Any]]:
    try:
        from jsonschema import Draft202012Validator, SchemaError
    except ImportError as error:
        raise FlowError("the check `schema` needs jsonschema: pip install laconic[routers]") from error
    return Draft202012Validator, SchemaError
