"""Chat templates: how a model's own files turn messages into the one text it reads.

A template is Jinja2, as Hugging Face stores it (`chat_template.jinja`, or the `chat_template` of
`tokenizer_config.json`). It is run sandboxed, in the environment that transformers and vLLM give it, so that the text,
and with it the token count, is theirs to the character. The messages are data to the template, never template text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TokenizerUnavailable

if TYPE_CHECKING:
    from jinja2 import Template

    from .request import Request

CHANGES_PROMPT = ("continue_final_message", "mm_processor_kwargs", "chat_template")
"""Keys of `Request.extra` that change the prompt in ways only the server knows."""


class ChatTemplate:
    """A model's chat template, compiled on first use."""

    def __init__(self, source: str, variables: Mapping[str, Any] | None = None) -> None:
        self.source = source
        self.variables = dict(variables or {})
        """What the template sees beside the messages: `bos_token`, `eos_token`, ..."""
        self._compiled: Template | None = None

    @classmethod
    def beside(cls, tokenizer: Path) -> ChatTemplate | None:
        """The template kept in the folder of a `tokenizer.json`, or None if there is none.

        Raises `TokenizerUnavailable` if the files are there and cannot be read.
        """
        folder = tokenizer.parent
        config: dict[str, Any] = {}
        try:
            for name in ("special_tokens_map.json", "tokenizer_config.json"):
                if (folder / name).is_file():
                    config.update(json.loads((folder / name).read_text(encoding="utf-8")))
            file = folder / "chat_template.jinja"
            source = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
        except (OSError, ValueError) as error:
            raise TokenizerUnavailable(f"The chat template beside {tokenizer} cannot be read: {error}") from error
        if isinstance(source, list):  # several named templates, as some models have
            source = next((entry.get("template") for entry in source if entry.get("name") == "default"), None)
        if not isinstance(source, str):
            return None
        variables: dict[str, Any] = {}
        for key, value in config.items():
            if key.endswith("_token"):
                text = value.get("content") if isinstance(value, dict) else value
                if isinstance(text, str):
                    variables[key] = text
        return cls(source, variables)

    def render(self, request: Request) -> str:
        """The text of a chat request, with the opening of the answer at its end.

        Raises `TokenizerUnavailable` if the template cannot be rendered, or if the request asks for something that only
        the server can do to its prompt.
        """
        unknown = [key for key in CHANGES_PROMPT if key in request.extra]
        if unknown:
            raise TokenizerUnavailable(
                f"The request's `{unknown[0]}` changes the prompt in a way that only the server can count; "
                "use a server that counts prompts (/tokenize), or set `estimate: true`."
            )
        from jinja2 import TemplateError

        messages = [
            {"role": m.role, "content": m.content} | ({"name": m.name} if m.name is not None else {})
            for m in request.messages or ()
        ]
        given: dict[str, Any] = {"tools": request.extra.get("tools"), "documents": request.extra.get("documents")}
        given |= self.variables | dict(request.extra.get("chat_template_kwargs") or {})
        opening = request.extra.get("add_generation_prompt", True)
        try:
            return self._template().render(messages=messages, add_generation_prompt=opening, **given)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise TokenizerUnavailable(f"The model's chat template does not accept these messages: {error}") from error

    def _template(self) -> Template:
        if self._compiled is None:
            from jinja2 import TemplateError
            from jinja2.exceptions import TemplateSyntaxError
            from jinja2.sandbox import ImmutableSandboxedEnvironment

            def raise_exception(message: str) -> None:
                raise TemplateError(message)

            def tojson(value: Any, indent: int | None = None) -> str:
                return json.dumps(value, ensure_ascii=False, indent=indent)

            environment = ImmutableSandboxedEnvironment(
                trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
            )
            environment.filters["tojson"] = tojson
            environment.globals["raise_exception"] = raise_exception
            environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
            try:
                self._compiled = environment.from_string(self.source)
            except TemplateSyntaxError as error:
                raise TokenizerUnavailable(f"The model's chat template cannot be read: {error}") from error
        return self._compiled
