"""Payloads of three sizes between two processes: see ../rust/src/ipc.rs, which does the same."""

import json
import os
import socket
import statistics
import time

import posix_ipc
import sysv_ipc

import shmkit

ROUNDS = 7
PAYLOADS = [(64, "64b", 500), (4096, "4k", 500), (1 << 20, "1m", 15)]
#: The longest message that the queues take on a machine where nobody changed their limits.
MESSAGE = 8192


class Slots:
    """Slots in shared memory, as many as the payloads that a pipe holds, but at least 8 and at most 256."""

    def __init__(self, size):
        self.size, self.count = size, min(max(65536 // size, 8), 256)
        self.region = shmkit.Region.create_unnamed(2 * self.count * size)
        self.free = [self.region.semaphore(f"free-{way}", self.count) for way in range(2)]
        self.filled = [self.region.semaphore(f"filled-{way}", 0) for way in range(2)]
        self.next = [0, self.count]

    def place(self, way):
        slot = self.next[way]
        self.next[way] = slot + 1 if (slot + 1) % self.count else way * self.count
        return slot * self.size

    def send(self, way, payload):
        self.free[way].acquire()
        self.region.write_at(self.place(way), payload)
        self.filled[way].release()

    def receive(self, way, size):
        self.filled[way].acquire()
        payload = self.region.read_at(self.place(way), size)
        self.free[way].release()
        return payload

    def close(self):
        for semaphore in self.free + self.filled:
            semaphore.close()
        self.region.close()


class Pipes:
    def __init__(self, size):
        self.read, self.write = zip(*(os.pipe() for _ in range(2)), strict=True)

    def send(self, way, payload):
        view = memoryview(payload)
        while view:
            view = view[os.write(self.write[way], view) :]

    def receive(self, way, size):
        parts = []
        while size:
            parts.append(os.read(self.read[way], size))
            size -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self):
        for fd in self.read + self.write:
            os.close(fd)


class Socket:
    def __init__(self, size):
        near, far = socket.socketpair()
        self.write, self.read = (near, far), (far, near)

    def send(self, way, payload):
        self.write[way].sendall(payload)

    def receive(self, way, size):
        return self.read[way].recv(size, socket.MSG_WAITALL)

    def close(self):
        for end in self.write:
            end.close()


class Queues:
    """Message queues of either kind, and how they are made, used and unmade."""

    def __init__(self, size):
        self.queues = [self.make(way) for way in range(2)]

    def send(self, way, payload):
        if len(payload) <= MESSAGE:
            self.queues[way].send(payload)
            return
        for at in range(0, len(payload), MESSAGE):
            self.queues[way].send(payload[at : at + MESSAGE])

    def receive(self, way, size):
        if size <= MESSAGE:
            return self.queues[way].receive()[0]
        return b"".join(self.queues[way].receive()[0] for _ in range(0, size, MESSAGE))


class PosixQueues(Queues):
    def make(self, way):
        name = f"/bench-python-{os.getpid()}-{way}"
        queue = posix_ipc.MessageQueue(name, posix_ipc.O_CREX, max_messages=10, max_message_size=MESSAGE)
        queue.unlink()
        return queue

    def close(self):
        for queue in self.queues:
            queue.close()


class SysvQueues(Queues):
    def make(self, way):
        return sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX, max_message_size=MESSAGE)

    def close(self):
        for queue in self.queues:
            queue.remove()


class Pair:
    """One transport in use: the other process, a forked child, answers until all rounds are over."""

    def __init__(self, make, there_and_back, size, count):
        self.transport, self.there_and_back, self.count = make(size), there_and_back, count
        self.payload = bytes(size)
        self.pid = os.fork()
        if self.pid == 0:
            self.answer(size)
            os._exit(0)
        self.round()

    def answer(self, size):
        transport = self.transport
        for _ in range(ROUNDS + 1):
            for _ in range(self.count):
                payload = transport.receive(0, size)
                if self.there_and_back:
                    transport.send(1, payload)
            if not self.there_and_back:
                transport.send(1, payload)

    def round(self):
        """Nanoseconds for one operation."""
        transport, payload, size = self.transport, self.payload, len(self.payload)
        began = time.perf_counter_ns()
        for _ in range(self.count):
            transport.send(0, payload)
            if self.there_and_back:
                transport.receive(1, size)
        if not self.there_and_back:
            # The round is over when the last payload has arrived.
            transport.receive(1, size)
        return (time.perf_counter_ns() - began) / self.count

    def end(self):
        os.waitpid(self.pid, 0)
        self.transport.close()


def run():
    peers = {"pipe": Pipes, "unix_socket": Socket, "posix_mq": PosixQueues, "sysv_mq": SysvQueues}
    for case, there_and_back in [("roundtrip", True), ("throughput", False)]:
        for size, label, count in PAYLOADS:
            for peer_name, peer in peers.items():
                pairs = [Pair(make, there_and_back, size, count) for make in (Slots, peer)]
                rounds = [[pair.round() for pair in pairs] for _ in range(ROUNDS)]
                for pair in pairs:
                    pair.end()
                ours, theirs = (round(statistics.median(times), 3) for times in zip(*rounds, strict=True))
                name = f"ipc.{case}_{label}.python.vs_{peer_name}"
                print(json.dumps({"name": name, "ours_ns": ours, "peer_ns": theirs}), flush=True)
