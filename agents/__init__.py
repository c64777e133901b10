"""Kinds of node in which several agents talk, and the forms in which they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .agent import Agent
    from .message import Message
    from .play import Played
    from .protocol import PROTOCOLS, Content, Protocol, protocol
    from .protocols.autoform import AutoForm
    from .protocols.custom import Custom
    from .protocols.json_message import JSONMessage
    from .protocols.keyvalue import KeyValue
    from .protocols.kqml import KQML
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
    from .worlds.boxes import Boxes
    from .worlds.lifting import Lifting
    from .worlds.warehouse import Warehouse
    from .worlds.world import WORLDS, World, world

__all__ = [
    "KQML",
    "PROTOCOLS",
    "WORLDS",
    "Agent",
    "AutoForm",
    "Boxes",
    "Central",
    "Chain",
    "Concise",
    "Content",
    "Custom",
    "Debate",
    "Hybrid1",
    "Hybrid2",
    "JSONMessage",
    "KeyValue",
    "Lifting",
    "Message",
    "Pair",
    "Plain",
    "Played",
    "Protocol",
    "Round",
    "Spoken",
    "Star",
    "Team",
    "Warehouse",
    "World",
    "protocol",
    "world",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "agent": ("Agent",),
        "message": ("Message",),
        "play": ("Played",),
        "protocol": ("PROTOCOLS", "Content", "Protocol", "protocol"),
        "protocols.autoform": ("AutoForm",),
        "protocols.custom": ("Custom",),
        "protocols.json_message": ("JSONMessage",),
        "protocols.keyvalue": ("KeyValue",),
        "protocols.kqml": ("KQML",),
        "protocols.plain": ("Concise", "Plain"),
        "spoken": ("Spoken",),
        "team": ("Team",),
        "topologies.central": ("Central",),
        "topologies.chain": ("Chain",),
        "topologies.debate": ("Debate",),
        "topologies.hybrid1": ("Hybrid1",),
        "topologies.hybrid2": ("Hybrid2",),
        "topologies.pair": ("Pair",),
        "worlds.boxes": ("Boxes",),
        "worlds.lifting": ("Lifting",),
        "worlds.warehouse": ("Warehouse",),
        "worlds.world": ("WORLDS", "World", "world"),
        "topologies.round": ("Round",),
        "topologies.star": ("Star",),
    },
)
