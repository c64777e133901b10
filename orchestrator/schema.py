"""The JSON Schema of a flow file, for editors: every kind of node and tool that is installed is in it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..accounting.budget import Budget
from .inputs import InputSpec
from .models import ModelSpec
from .node import KINDS
from .registry import Registry
from .tool import TOOLS


def flow_schema() -> dict[str, Any]:
    """A schema for flow files, draft 2020-12."""
    nodes = _classes(KINDS)
    tools = _classes(TOOLS)
    parts: list[type[BaseModel]] = [*nodes.values(), *tools.values(), ModelSpec, InputSpec, Budget]
    places, schema = models_json_schema([(part, "validation") for part in parts], ref_template="#/$defs/{model}")
    definitions = schema["$defs"]
    for classes in (nodes, tools):
        for name, cls in classes.items():
            entry = definitions[_place(places, cls)]
            entry["properties"] = {"kind": {"const": name}, **entry.get("properties", {})}
            entry["required"] = ["kind", *entry.get("required", [])]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Laconic flow",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "nodes"],
        "properties": {
            "name": {"type": "string", "description": "What the flow is called in the ledger."},
            "description": {"type": "string"},
            "inputs": {
                "type": "object",
                "description": "What a run is given.",
                "additionalProperties": {
                    "anyOf": [
                        {"enum": ["str", "int", "float", "bool", "list", "dict", "any"]},
                        places[InputSpec, "validation"],
                    ]
                },
            },
            "models": _mapping([places[ModelSpec, "validation"]], "Which model plays which role."),
            "tools": _mapping([places[cls, "validation"] for cls in tools.values()], "What plans may call."),
            "budget": places[Budget, "validation"],
            "nodes": _mapping([places[cls, "validation"] for cls in nodes.values()], "The steps."),
            "outputs": {"type": "object", "description": "What a run gives back, as templates."},
        },
        "$defs": definitions,
    }


def _classes(registry: Registry[Any]) -> dict[str, type[BaseModel]]:
    return {name: registry.find(name) for name in registry.names()}


def _mapping(choices: list[Any], description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": {"oneOf": choices}}


def _place(places: Any, cls: type[BaseModel]) -> str:
    return str(places[cls, "validation"]["$ref"]).rsplit("/", 1)[-1]
