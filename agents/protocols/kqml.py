"""`protocol: kqml`: a message is a speech act, `(tell :content ... :answer ...)`.

After KQML (Finin et al., 1994), of which it keeps the performatives and the syntax. Sender and receiver are known
without being said, and never believed.
"""

from __future__ import annotations

from dataclasses import replace

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol
from .expression import Expression, read_expression
from .plain import EMPTY

PERFORMATIVES = frozenset(
    {"tell", "ask", "ask-if", "ask-one", "ask-all", "reply", "inform", "request", "propose", "agree", "refuse", "deny"}
)
"""Those that may have their content right behind them; another is known by its parameters."""
ENVELOPE = frozenset({"sender", "receiver", "from", "to", "language", "ontology", "reply-with", "in-reply-to"})
"""Parameters that tell nothing that the others need."""
MOST_LISTS = 100
"""In one text that is looked into; one with more is words."""


@protocol("kqml")
class KQML(Protocol):
    """A performative with `:content` and, once it is known, `:answer`.

    The text of a `tell` is its content; that of any other act is the expression without the answer.
    """

    answering = 'give it as :answer "..."'

    def instruction(self) -> str:
        """Two performatives, and the place of the answer."""
        return (
            'Write your message to the others as one expression: (tell :content "...") for what you know, '
            '(ask :content "...") for what you need, in few words. Once you know the answer, add it: '
            '(tell :content "..." :answer "...").'
        )

    def parse(self, text: str) -> Content:
        """What the first expression in the text says."""
        read = read_expression(text, PERFORMATIVES)
        if read is None:
            raise MessageError('it is no expression such as (tell :content "...")')
        if read.cut == "answer":
            raise MessageError("it is cut off in the answer; write a shorter one")
        told = tuple((key, value) for key, value in read.parameters if key != "answer" and key not in ENVELOPE)
        content = Content(_text(replace(read, parameters=told, cut=None)), read.get("answer"))
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """The expression, with quotation marks only where they are needed."""
        said = _expression(content.text)
        answer = () if content.answer is None else (("answer", content.answer),)
        return replace(said, parameters=said.parameters + answer).write()


def _text(said: Expression) -> str:
    """An expression as text; `_expression` gives the same one back."""
    if said == Expression("tell"):
        return ""
    return said.write() if _is_more_than_told(said) else said.parameters[0][1]


def _expression(text: str) -> Expression:
    read = read_expression(text, PERFORMATIVES) if text.count("(") <= MOST_LISTS else None
    if read is not None and read.write() == text and _is_more_than_told(read):
        return read
    return Expression("tell", (("content", text),) if text else ())


def _is_more_than_told(said: Expression) -> bool:
    """Whether an expression is not just a `tell` of its content.

    One whose content is itself such an expression counts as more: told or said, it would read the same.
    """
    if said.performative != "tell" or [key for key, _ in said.parameters] != ["content"]:
        return bool(said.parameters) or said.performative != "tell"
    told = said.parameters[0][1]
    return _expression(told) != Expression("tell", (("content", told),)) and bool(told)
