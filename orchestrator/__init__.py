"""The engine: flows, nodes, the graph, the executor. See README.md beside this file."""

from .build import build_nodes
from .context import Context, Prompt
from .events import CallCharged, Event, ItemsDecided, NodeFinished, NodeStarted, OnEvent, TokenDelta
from .flow import Flow
from .inputs import InputSpec
from .models import ModelSpec
from .node import KINDS, Fallback, ModelRole, Node, Retry, ToolName, kind
from .result import Result
from .run import NodeRecord, Run, new_run_id
from .runtime import Runtime
from .template import Template, TemplateTree
from .tool import TOOLS, Tool, tool
from .verdict import Reading, Verdict

__all__ = [
    "KINDS",
    "TOOLS",
    "CallCharged",
    "Context",
    "Event",
    "Fallback",
    "Flow",
    "InputSpec",
    "ItemsDecided",
    "ModelRole",
    "ModelSpec",
    "Node",
    "NodeFinished",
    "NodeRecord",
    "NodeStarted",
    "OnEvent",
    "Prompt",
    "Reading",
    "Result",
    "Retry",
    "Run",
    "Runtime",
    "Template",
    "TemplateTree",
    "TokenDelta",
    "Tool",
    "ToolName",
    "Verdict",
    "build_nodes",
    "kind",
    "new_run_id",
    "tool",
]
