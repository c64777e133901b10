"""Stands in for vLLM: the parts that Laconic touches, and the ways in which a server can fail. `STANDIN` says which."""

__version__ = "0.32.0"
