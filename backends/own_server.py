"""Servers that this process starts and ends: one for equal settings, shared by all who ask for it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

Settings = TypeVar("Settings", bound=Hashable)


class OwnServer(Protocol):
    """A server in processes of its own. Every method may be called from any thread."""

    key: str | None
    """What a client must send to be answered."""
    url: str
    """Address of its API, once it is started."""
    stopped: bool
    """Whether it was ended on purpose."""

    @property
    def alive(self) -> bool:
        """Whether it can still become, or is, a running server."""
        ...

    def start(self) -> None:
        """Load the model, unless that was done; takes seconds or minutes."""
        ...

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or ends in this time."""
        ...

    def stop(self) -> None:
        """End it, whatever it is doing."""
        ...


class OwnProcess:
    """What a server in a child process knows of that process."""

    def __init__(self) -> None:
        self.stopped = False
        """Whether it was ended on purpose."""
        self._process: subprocess.Popen[Any] | None = None

    @property
    def alive(self) -> bool:
        """Whether it can still become, or is, a running server."""
        return not self.stopped and (self._process is None or self._process.poll() is None)

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or ends in this time."""
        process = self._process
        if process is None or self.stopped:
            return self.stopped
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None


Server = TypeVar("Server", bound=OwnServer)


class SharedServers(dict[Settings, Server]):
    """The servers of one kind by their settings. One ends when the last user gives it back."""

    def __init__(self, make: Callable[[Settings], Server]) -> None:
        super().__init__()
        self._make = make
        self._users: dict[int, int] = {}
        """How many use a server, by its identity."""
        self._lock = threading.Lock()

    def borrow(self, settings: Settings) -> Server:
        """The server of these settings, not necessarily started. Whoever borrows it gives it back once."""
        with self._lock:
            server = self.get(settings)
            if server is None or not server.alive:
                server = self[settings] = self._make(settings)
            self._users[id(server)] = self._users.get(id(server), 0) + 1
            return server

    def give_back(self, server: Server) -> None:
        """End the server if nobody else uses it."""
        with self._lock:
            self._users[id(server)] -= 1
            if self._users[id(server)]:
                return
            del self._users[id(server)]
            for settings in [settings for settings, one in self.items() if one is server]:
                del self[settings]
        server.stop()
