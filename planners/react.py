"""`kind: react`: reasoning and acting in turns (Yao et al. 2023, arXiv 2210.03629).

The model sees every observation before it decides on the next action, and pays for it: with k turns the instruction,
the examples and the question are sent k times, and what a tool returned first is sent k - 1 times more.
"""

from __future__ import annotations

from pydantic import Field

from ..orchestrator import Context, ModelRole, Node, Template, ToolName, kind
from ..orchestrator.answer import short_answer
from ..tools.calling import Returned, call_tool, tool_lines
from .examples import Examples, fitting
from .prompts import observation, react_prompt
from .trace import Action, Finish, parse_turn


@kind("react")
class ReAct(Node):
    """Let the model call tools one by one, reading each result before the next; the value is the short answer."""

    question: Template = Field(description="What is asked.")
    model: ModelRole = Field(default="large", description="The role that thinks and acts.")
    tools: list[ToolName] = Field(description="The flow's tools that it may call.", min_length=1)
    max_steps: int = Field(default=6, ge=1, description="Most turns before it must answer.")
    max_tokens: int = Field(default=128, ge=1, description="Most tokens of one turn.")
    observation_tokens: int = Field(default=400, ge=8, description="About how many tokens of an observation are shown.")
    exemplars: Examples = Field(default=True, description="The built-in worked examples, none, or your own.")

    async def run(self, ctx: Context) -> str:
        """One call a turn, purpose `act`; a last one asks for the answer if `max_steps` turns gave none."""
        shown = fitting(self.exemplars, ctx.tools, self.tools)
        turns = react_prompt(ctx.text(self.question), tool_lines(ctx.tools, self.tools), shown)
        for step in range(1, self.max_steps + 2):
            said = await ctx.complete(
                turns, model=self.model, purpose="act", max_tokens=self.max_tokens, stop=("Observation:",)
            )
            turn = parse_turn(said.text, self.tools)
            if isinstance(turn, Finish):
                return turn.answer
            if step > self.max_steps:
                ctx.note(f"no answer in {self.max_steps} turns, nor when asked for one")
                return short_answer(said.text)
            if isinstance(turn, Action):
                seen = (await self._act(ctx, turn)).text
            else:
                seen = f"That turn cannot be used: {turn.reason}. Call one of {', '.join(self.tools)}, or answer."
            turns.append({"role": "assistant", "content": said.text.strip()})
            turns.append(observation(seen, last=step == self.max_steps))
        raise AssertionError("the last turn returns")

    async def _act(self, ctx: Context, action: Action) -> Returned:
        return await call_tool(ctx, self.tools, action.tool, action.argument, most_tokens=self.observation_tokens)
