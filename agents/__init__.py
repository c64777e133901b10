"""Kinds of node in which several agents talk, and the forms in which they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .agent import Agent
    from .message import Message
    from .protocol import PROTOCOLS, Content, Protocol, protocol
    from .protocols.plain import Concise, Plain
    from .spoken import Spoken
    from .team import Team
    from .topologies.central import Central
    from .topologies.chain import Chain
    from .topologies.debate import Debate
    from .topologies.hybrid1 import Hybrid1
    from .topologies.hybrid2 import Hybrid2
    from .topologies.pair import Pair
    from .topologies.round import Round
    from .topologies.star import Star

__all__ = [
    "PROTOCOLS",
    "Agent",
    "Central",
    "Chain",
    "Concise",
    "Content",
    "Debate",
    "Hybrid1",
    "Hybrid2",
    "Message",
    "Pair",
    "Plain",
    "Protocol",
    "Round",
    "Spoken",
    "Star",
    "Team",
    "protocol",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "agent": ("Agent",),
        "message": ("Message",),
        "protocol": ("PROTOCOLS", "Content", "Protocol", "protocol"),
        "protocols.plain": ("Concise", "Plain"),
        "spoken": ("Spoken",),
        "team": ("Team",),
        "topologies.central": ("Central",),
        "topologies.chain": ("Chain",),
        "topologies.debate": ("Debate",),
        "topologies.hybrid1": ("Hybrid1",),
        "topologies.hybrid2": ("Hybrid2",),
        "topologies.pair": ("Pair",),
        "topologies.round": ("Round",),
        "topologies.star": ("Star",),
    },
)
