"""Models run by Hugging Face's transformers in this process: slow, and open to whoever must see inside.

`backend: transformers`, the extra `hf`. A call is answered as any server's would be, and may say besides before which
token it is to end (`..doubt.Until`), for which the logits of all tokens are looked at.
"""

from .backend import TransformersBackend

__all__ = ["TransformersBackend"]
