"""What the runner passes to others over sockets: memory and regions without a name."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from shmkit import Region, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner_protocol import Command

PATIENCE_S = 20


class DescriptorCommands:
    """Mixed into the runner, which knows the handles."""

    keep: Callable[..., dict[str, object]]

    def do_send_memory(self, command: Command) -> dict[str, object]:
        with Segment.memfd("conformance", command.number("len")) as segment:
            segment.seal("shrink")
            with accept(command) as peer:
                segment.send(peer, timeout=PATIENCE_S)
            return self.keep(command, segment.map(protection="read_write"))

    def do_receive_memory(self, command: Command) -> dict[str, object]:
        with connect(command) as peer, Segment.receive(peer, timeout=PATIENCE_S) as segment:
            fields = self.keep(command, segment.map(protection="read_write"))
            return {**fields, "sealed": int("shrink" in segment.seals)}

    def do_send_region(self, command: Command) -> dict[str, object]:
        region = Region.create_unnamed(command.number("len"))
        with accept(command) as peer, Segment.from_fd(region) as segment:
            segment.send(peer, timeout=PATIENCE_S)
        return self.keep(command, region)

    def do_receive_region(self, command: Command) -> dict[str, object]:
        with connect(command) as peer, Segment.receive(peer, timeout=PATIENCE_S) as segment:
            return self.keep(command, Region.from_fd(segment))


def accept(command: Command) -> socket.socket:
    """The first who connects to the socket that a command names."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(PATIENCE_S)
        listener.bind(command.text("path"))
        listener.listen()
        return listener.accept()[0]


def connect(command: Command) -> socket.socket:
    """A connection to that socket, once somebody listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(command.text("path"))
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
