"""Every error Laconic raises, in one tree.

    LaconicError
    ├── FlowError (ValueError)            the flow is wrong: where (file, line, node) and what to write instead
    │   └── InputError                    a run was given the wrong inputs or data
    ├── NodeError                         a node failed while it ran
    ├── PlanError (ValueError)            a model's plan does not parse
    ├── MessageError (ValueError)         what an agent wrote does not follow its protocol
    ├── ToolError                         a tool could not do what it was asked
    │   ├── SQLRefused                    a statement that is not let through to a database
    │   └── SQLFailed                     a database that cannot be read, or a query that it could not answer
    ├── BudgetExceeded                    the wall was reached; carries what finished
    ├── LedgerError                       the ledger or store cannot be read or written
    ├── ModelFileError                    a model's weights are missing, incomplete or not what they should be
    ├── TokenizerUnavailable              no exact token count can be had; says the ways out
    ├── ReplayMiss (LookupError)          a replay was asked for a call that was never recorded
    └── BackendError                      a model call failed
        ├── BackendUnreachable (ConnectionError)
        ├── ServerNotStarted              a server that Laconic was to start did not come up; carries its `log`
        ├── RateLimited                   carries `retry_after`, seconds
        ├── ContextTooLong (ValueError)
        ├── BadRequest (ValueError)       the server refused the request; retrying cannot help
        ├── UnknownModel (LookupError)    the server does not have that model; lists those it has
        ├── ServerFailure                 status 5xx
        ├── MalformedAnswer (ValueError)  the server's answer is not what its protocol promises
        ├── StreamCut                     the stream ended before its end mark; carries the partial completion
        └── BackendTimeout (TimeoutError) may carry the partial completion of a stream

Each message says what was wrong, where, and what to do. This module imports nothing, so every floor may use it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BackendError",
    "BackendTimeout",
    "BackendUnreachable",
    "BadRequest",
    "BudgetExceeded",
    "ContextTooLong",
    "FlowError",
    "InputError",
    "LaconicError",
    "LedgerError",
    "MalformedAnswer",
    "MessageError",
    "ModelFileError",
    "NodeError",
    "PlanError",
    "RateLimited",
    "ReplayMiss",
    "SQLFailed",
    "SQLRefused",
    "ServerFailure",
    "ServerNotStarted",
    "StreamCut",
    "TokenizerUnavailable",
    "ToolError",
    "UnknownModel",
]


class LaconicError(Exception):
    """Root of all errors raised on purpose by Laconic."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FlowError(LaconicError, ValueError):
    """A flow that cannot run as written. `where` names the file and line; `at` is the path of keys inside the flow."""

    def __init__(self, message: str, *, where: str | None = None, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.plain = message
        self.where = where
        self.at = at


class InputError(FlowError):
    """A run was given missing, unknown or mistyped inputs, or data that cannot be read."""


class NodeError(LaconicError):
    """A node failed while it ran; `path` says which."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class PlanError(LaconicError, ValueError):
    """A model's plan does not parse; the message is fit to be sent back to the model."""


class MessageError(LaconicError, ValueError):
    """What an agent wrote does not follow its protocol; the message is fit to be sent back to the model."""


class ToolError(LaconicError):
    """A tool could not do what it was asked; the message becomes the evidence."""


class SQLRefused(ToolError):
    """A statement that is not let through to a database: it is not one query that only reads."""


class SQLFailed(ToolError):
    """A database that cannot be read, or a query that it could not answer within its limits."""


class BudgetExceeded(LaconicError):
    """A call did not fit in what is left of a budget and was not sent.

    `limit`, `spent` and `needed` are in `unit` (tokens, calls, dollars or seconds); `scope` names the budget.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str = "",
        unit: str = "tokens",
        limit: float = 0,
        spent: float = 0,
        needed: float = 0,
    ) -> None:
        super().__init__(message)
        self.scope = scope
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.needed = needed
        self.partial: Any = None
        """What the run had finished when the wall was reached (a `Result`), set by the run that ends."""


class LedgerError(LaconicError):
    """A ledger or store file cannot be read or written. What was committed before stays in the file."""


class ModelFileError(LaconicError):
    """A model's weights are missing, incomplete, or do not have the hash they should have."""


class TokenizerUnavailable(LaconicError):
    """No exact token count can be had for this model; the message names the ways out."""


class ReplayMiss(LaconicError, LookupError):
    """A replay was asked for a call that was never recorded."""


class BackendError(LaconicError):
    """A model call failed. `partial` holds what had arrived of the answer, if anything (a `Completion`)."""

    retryable = False
    """Whether the same request may succeed when sent again."""
    spent_nothing = False
    """Whether it is certain that the server processed no token of the request."""

    def __init__(self, message: str, *, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial


class BackendUnreachable(BackendError, ConnectionError):
    """Nothing answers at the address."""

    retryable = True
    spent_nothing = True


class ServerNotStarted(BackendError):
    """A server that Laconic was to start did not come up. `log` is the path of what it printed, None if it never ran.

    Starting it again as it was cannot help.
    """

    spent_nothing = True

    def __init__(self, message: str, *, log: Any = None) -> None:
        super().__init__(message)
        self.log = log


class RateLimited(BackendError):
    """The server asks for patience (429, or 503 with Retry-After). `retry_after` is in seconds, None if not said."""

    retryable = True
    spent_nothing = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ContextTooLong(BackendError, ValueError):
    """The prompt, or the prompt and `max_tokens`, do not fit in the model's context."""

    spent_nothing = True


class BadRequest(BackendError, ValueError):
    """The server refused the request; sending it again cannot help."""

    spent_nothing = True


class UnknownModel(BackendError, LookupError):
    """The server does not have a model of that name."""

    spent_nothing = True


class ServerFailure(BackendError):
    """The server failed (5xx); how much it had computed is unknown."""

    retryable = True


class MalformedAnswer(BackendError, ValueError):
    """The server's answer is not what its protocol promises."""

    retryable = True


class StreamCut(BackendError):
    """A stream ended before its end mark; `partial` holds what had arrived, its usage counted by us."""

    retryable = True


class BackendTimeout(BackendError, TimeoutError):
    """No (complete) answer within the time allowed."""

    retryable = True
