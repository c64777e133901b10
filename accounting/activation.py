"""Activated parameters and FLOPs: what answers cost in arithmetic, as a paper counts it and with everything in it.

R2R (arXiv 2505.21600) has a small and a large model write one answer and counts for each of its tokens the parameters
of the model that wrote it. Left out are the small model's tokens that the large one's replaced, the router that looked
at each, and what both models read: in the end the large one reads nearly every token. `everything` has all of it: each
token that went through a model counts that model's parameters.

FLOPs are 2 N for each token that went through a model of N parameters: one multiplication and one addition for each.
All parameters count as active, embeddings too; the part of attention that grows with the square of the length is left
out. An answer that was reused counts as if it had been asked for, as in published figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ..errors import InputError
from .call import ANSWERED, Call
from .prices import passes

DRAFT = "draft"
"""The purpose of calls whose tokens another model may replace. The last token of one that ended with `cut` was
replaced, and those that the ledger knows as unused."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What calls put through a model, in tokens. Sums add up: `Tokens.of(a) + Tokens.of(b) == Tokens.of(a + b)`."""

    calls: int = 0
    read: int = 0
    """Prompt tokens that were not in a cache."""
    generated: int = 0
    written: int = 0
    """Generated, not replaced, and in a call whose answer was used."""
    replaced: int = 0
    """Generated, and another model was asked instead."""
    drafted: int = 0
    """Generated in calls whose tokens may be replaced: what a router looked at."""
    passes: int = 0
    """Tokens that went through the model: all that were read, and all that were generated but for each call's last."""
    unsaid: int = 0
    """Calls whose server did not say how much was computed: `read` and `passes` lack them, and what was generated where
    that is not known either."""

    @classmethod
    def of(cls, calls: Iterable[Call]) -> Tokens:
        """Those of `calls`, which asked one model."""
        return sum(map(_tokens, calls), Tokens())

    def __add__(self, other: Tokens) -> Tokens:
        """Those of both."""
        names = Tokens.__struct_fields__
        return Tokens(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Work(Tokens, frozen=True, kw_only=True):
    """What the model in one role did."""

    role: str
    served: str
    parameters: float

    @classmethod
    def by(cls, role: str, served: str, parameters: float, tokens: Tokens) -> Work:
        """These tokens as the work of a model."""
        return cls(role=role, served=served, parameters=parameters, **msgspec.structs.asdict(tokens))

    @property
    def flops(self) -> float:
        """Floating-point operations, 2 for each parameter and token."""
        return 2 * self.parameters * self.passes


class Activated(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of some models activated. Figures a token are of `written` tokens, None if there is none."""

    models: tuple[Work, ...]
    router_parameters: float = 0.0
    """Of a router that looked at every drafted token."""

    @property
    def written(self) -> int:
        """Tokens of answers that were used."""
        return sum(work.written for work in self.models)

    @property
    def drafted(self) -> int:
        """Tokens that the router looked at."""
        return sum(work.drafted for work in self.models)

    @property
    def lower_bound(self) -> bool:
        """Whether calls are missing, because their servers did not say how much was computed."""
        return any(work.unsaid for work in self.models)

    @property
    def flops(self) -> float:
        """Floating-point operations of all models and the router."""
        return sum(work.flops for work in self.models) + 2 * self.router_parameters * self.drafted

    @property
    def as_published(self) -> float | None:
        """Parameters a token as R2R counts: those of the model that wrote it, (1 - r) small + r large."""
        return self._a_token(sum(work.parameters * work.written for work in self.models))

    @property
    def everything(self) -> float | None:
        """Parameters a token with everything: reading, replaced and unused tokens, the router."""
        return self._a_token(self.flops / 2)

    def _a_token(self, parameters: float) -> float | None:
        return parameters / self.written if self.written else None


def activated_by(
    calls: Iterable[Call], parameters: Mapping[str, float], *, router_parameters: float = 0.0
) -> Activated:
    """What `calls` activated, role by role in the order of their first call.

    `parameters`: by a call's role in the flow or, failing that, by the name of the model that answered. Raises
    InputError for a model whose parameters are not known.
    """
    roles: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        roles.setdefault((call.model, call.served), []).append(call)
    missing = [role for role in roles if not (parameters.get(role[0]) or parameters.get(role[1]))]
    if missing:
        named = ", ".join(f"{served or role!r} (role {role!r})" for role, served in missing)
        raise InputError(
            f"it is not known how many parameters these models have: {named}; say it with `parameters`, ROLE=NUMBER"
        )
    works = [
        Work.by(role, served, parameters.get(role) or parameters[served], Tokens.of(of))
        for (role, served), of in roles.items()
    ]
    return Activated(models=tuple(works), router_parameters=router_parameters)


def _tokens(call: Call) -> Tokens:
    usage = call.usage if call.avoided is None else call.avoided
    generated = usage.completion or 0
    through = passes(usage)
    draft, used = call.purpose == DRAFT, call.status in ANSWERED
    replaced = 0
    if draft and call.status == "discarded":
        replaced = generated
    elif used:
        replaced = min(generated, int(draft and call.finish_reason == "cut") if call.unused is None else call.unused)
    return Tokens(
        calls=1,
        read=0 if through is None else (usage.prompt or 0) - (usage.cache_read or 0),
        generated=generated,
        written=generated - replaced if used else 0,
        replaced=replaced,
        drafted=generated if draft else 0,
        passes=through or 0,
        unsaid=int(through is None),
    )
