"""A thought while it is had: ordinary calls, each of which goes on where the text stands.

They go on by token ids, so that a server's prefix cache keeps what was read: purpose `think` for the thinking, `probe`
for answers that are asked for meanwhile.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..backends.request import Completion
from ..errors import NodeError, TokenizerUnavailable
from .agreement import same_answer
from .answer import Answered
from .shown import as_data

if TYPE_CHECKING:
    from ..backends.backend import ServerFacts
    from .context import Context, Prompt
    from .thinking import Thinking


class Thought:
    """A thought while it is had."""

    def __init__(
        self,
        ctx: Context,
        thinking: Thinking,
        facts: ServerFacts,
        model: str,
        purpose: str,
        most: int,
        how: Mapping[str, Any],
    ) -> None:
        self.ctx = ctx
        self.thinking = thinking
        self.facts = facts
        self.model = model
        self.purpose = purpose
        self.most = most
        self.sampling = {name: value for name, value in how.items() if name not in ("stop", "schema")}
        self.how = {**how, "logprobs": None if ctx.heard is None else 0}
        self.ids: tuple[int, ...] = ()
        """The prompt, and behind it what was thought."""
        self.text = ""
        self.tokens = 0
        """Tokens that the model has generated as its thinking, those of its closing marks included."""
        self.probes: list[Answered] = []
        self.agreed = self.by_itself = False
        self.ended = "the budget ended it"

    async def begin(self, prompt: Prompt) -> None:
        """Open the thinking behind the prompt. Raises NodeError if the model cannot be made to think."""
        thinking, amid = self.thinking, self._amid
        try:
            self.ids = await self.ctx.token_ids(prompt, model=self.model)
            opening, self.close = await amid(thinking.open), await amid(thinking.close)
            self.closing = await amid(f"\n{thinking.close}\n\n{thinking.lead_in}")
            self.more = await amid(f"\n{thinking.more}") if thinking.at_least else ()
            if not _opened(self.ids, opening):
                self.ids += await amid(f"{thinking.open}\n")
            self.opened = self.ids
        except TokenizerUnavailable as error:
            raise self._cannot(
                "its server neither limits thinking itself nor tells the tokens of a prompt, from which it could go on "
                f"({error}); take one that vLLM, llama.cpp or transformers serves"
            ) from error
        fields: dict[str, Any] = {"return_token_ids": True, "skip_special_tokens": False}
        self.extra = {name: value for name, value in fields.items() if self.facts.knows(name, chat=False)}
        if thinking.bias:
            self.extra["logit_bias"] = self._bias()
        thought = thinking.limit + thinking.times * len(self.more)
        context, needed = self.facts.context, len(self.ids) + thought + len(self.closing) + self.most
        if context is not None and needed > context:
            raise self._cannot(
                f"prompt, thinking and answer take up to {needed} tokens, and its context is {context}; lower "
                "`thinking: {limit: ...}` or `max_tokens`"
            )

    async def whole(self) -> None:
        """Think until the model ends it late enough, probes agree, or there is room for no more."""
        renewed = 0
        while room := self._room():
            mark = self._mark()
            said = await self._complete(
                "think",
                self.ids,
                min(room, mark - self.tokens),
                stop=(self.thinking.close,),
                extra=self.extra,
                **self.sampling,
            )
            new = await self._thought_in(said)
            self.ids += new
            self.text += said.text
            self.tokens += said.usage.completion or len(new)
            closed = await self._closed_across_calls(said.text)
            if said.finish_reason == "length" and new and not closed:
                if mark <= self.tokens < self.thinking.limit and await self._agree():
                    return
            elif self.tokens >= self.thinking.at_least or renewed == self.thinking.times:
                self.by_itself, self.ended = True, "it ended by itself"
                return
            else:
                renewed += 1
                self.ids += self.more
                self.text += f"\n{self.thinking.more}"
        reached = self.tokens >= self.thinking.limit
        self.ended = "cut off at the limit" if reached else "the budget has room for no more"

    async def answer(self) -> Answered:
        """The answer behind the closed thinking; it may be empty."""
        if self.agreed and self.probes[-1].said.finish_reason == "stop":
            return self.probes[-1]
        if self.by_itself:
            said = await self._complete(self.purpose, self.ids + self.close, self.most, **self.how)
            if said.text.strip():
                return Answered(said)
        return await self._led_in(self.purpose, self.most)

    def latest_probe(self) -> Answered | None:
        """The latest answer that was asked for meanwhile and given."""
        return next((probe for probe in reversed(self.probes) if probe.said.text.strip()), None)

    async def _agree(self) -> bool:
        """Ask for the answer as it stands; whether the last of these answers say the same."""
        probes = self.thinking.probes
        assert probes is not None
        self.probes.append(await self._led_in("probe", probes.max_tokens))
        whole = self.how.get("schema") is not None
        answers = [probe.said.text if whole else probe.short for probe in self.probes[-probes.agree :]]
        self.agreed = len(answers) == probes.agree and all(same_answer(answers[-1], answer) for answer in answers)
        if self.agreed:
            self.ended = f"{probes.agree} probes agreed"
        return self.agreed

    async def _led_in(self, purpose: str, most: int) -> Answered:
        """The answer behind the thinking closed as it stands, and behind the lead-in."""
        said = await self._complete(purpose, self.ids + self.closing, most, **self.how)
        return Answered(said, self.thinking.lead_in)

    def _mark(self) -> int:
        """After how many tokens of thinking the next call ends: at a probe or at the limit."""
        probes = self.thinking.probes
        if probes is None:
            return self.thinking.limit
        soonest = max(self.tokens + 1, self.thinking.at_least)
        return min(self.thinking.limit, -(-soonest // probes.every) * probes.every)

    def _room(self) -> int:
        """Tokens that may still be thought so that the budget has room for a probe and for the answer after it."""
        room = self.thinking.limit - self.tokens
        left = self.ctx.budget.left.tokens if self.ctx.budget is not None else None
        if left is None:
            return max(0, room)
        calls, rest = 2, len(self.closing) + self.most
        if self.thinking.probes is not None:
            calls, rest = 3, rest + len(self.closing) + self.thinking.probes.max_tokens
        return max(0, min(room, (left - rest) // calls - len(self.ids)))

    async def _thought_in(self, said: Completion) -> tuple[int, ...]:
        """The tokens of what was thought, without the mark that ended it."""
        ids = said.token_ids
        if ids is not None and len(ids) == said.usage.completion:
            if said.finish_reason == "length":
                return ids
            if ids[-len(self.close) :] == self.close:
                return ids[: -len(self.close)]
        return await self._amid(as_data(said.text))

    async def _closed_across_calls(self, new: str) -> bool:
        """Whether the mark that ends the thinking began in one call and ended in this one; it is then cut off.

        A server looks for it in what one call generates.
        """
        close = self.thinking.close
        at = self.text.find(close, max(0, len(self.text) - len(new) - len(close) + 1))
        if at < 0:
            return False
        self.text = self.text[:at]
        self.ids = self.opened + await self._amid(as_data(self.text))
        return True

    def _bias(self) -> dict[str, float]:
        if self.facts.knows("logit_bias", chat=False) is False:
            raise self._cannot("its server does not know `logit_bias`, which `bias` needs; leave `bias` out")
        if len(self.close) != 1:
            raise self._cannot(
                f"its mark {self.thinking.close!r} is {len(self.close)} tokens, and `bias` is added to a single one; "
                "leave `bias` out, or `close` the thinking with a mark that is one token"
            )
        return {str(self.close[0]): self.thinking.bias}

    def _amid(self, text: str) -> Coroutine[Any, Any, tuple[int, ...]]:
        return self.ctx.tokens(text, model=self.model, marks=True)

    def _complete(self, purpose: str, ids: Sequence[int], most: int, **how: Any) -> Coroutine[Any, Any, Completion]:
        return self.ctx.complete(
            prompt_token_ids=ids, model=self.model, purpose=purpose, max_tokens=most, aside=True, **how
        )

    def _cannot(self, why: str) -> NodeError:
        return NodeError(
            f"the model in the role {self.model!r} cannot be made to think as asked: {why}", path=self.ctx.path
        )


def _opened(ids: Sequence[int], opening: Sequence[int]) -> bool:
    """Whether a prompt's template has opened the thinking; a line break may follow the mark."""
    return any(tuple(ids[: len(ids) - more][-len(opening) :]) == tuple(opening) for more in (0, 1))
