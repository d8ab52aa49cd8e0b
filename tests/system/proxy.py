"""A wire to a ClickHouse server's HTTP port that can be cut: then nobody is at its other end, and nothing says so, as
where a machine has lost its power."""

import contextlib
import ctypes
import socket
import struct
import threading

SO_ATTACH_FILTER = 26  # on every architecture


def deafen(s):
    """From now on nothing reaches the socket, and its peer is told nothing."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(drop_all)))


class Connection:
    """From a client to the server, with a thread for each direction."""

    def __init__(self, proxy, client):
        self.proxy, self.client, self.is_cut, self.cut_at_answer = proxy, client, False, False
        self.server = socket.create_connection(("127.0.0.1", proxy.server_port))
        for target in (self.requests, self.answers):
            threading.Thread(target=target, daemon=True).start()

    def cut(self):
        self.is_cut = True
        deafen(self.client)

    def requests(self):
        with contextlib.suppress(OSError):
            while data := self.client.recv(1 << 20):
                when = self.proxy.when_to_cut(data)
                self.cut_at_answer = when == "stored"
                if when == "sent":
                    self.cut()
                    self.proxy.was_cut.set()
                    return
                if not self.cut_at_answer:
                    self.proxy.mended.wait()
                self.server.sendall(data)
            self.server.shutdown(socket.SHUT_WR)

    def answers(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(1 << 20):
                if self.cut_at_answer:
                    self.cut()
                    self.proxy.was_cut.set()
                if self.is_cut:
                    return
                self.client.sendall(data)
            if not self.is_cut:
                self.client.shutdown(socket.SHUT_WR)

    def close(self):
        for s in (self.client, self.server):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


class Proxy:
    def __init__(self, server):
        self.server_port = server.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.flags = tuple(str(f).replace(server.url, f"http://127.0.0.1:{self.port}") for f in server.flags)
        self.lock = threading.Lock()  # guards the next two
        self.connections, self.wanted = [], None
        self.was_cut, self.mended = threading.Event(), threading.Event()
        self.mended.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                with self.lock:
                    self.connections.append(Connection(self, client))

    def cut_at(self, text, when):
        """Cuts the connection of the next request with that text: as it is "sent" and the server has nothing of it, or
        once what it asks for is "stored". Until mend(), requests over others wait."""
        with self.lock:
            self.wanted = (text, when)

    def when_to_cut(self, data):
        with self.lock:
            if not self.wanted or self.wanted[0] not in data:
                return None
            when, self.wanted = self.wanted[1], None
        self.mended.clear()
        return when

    def cut_all(self):
        """The connections of now; later ones are whole."""
        with self.lock:
            for c in self.connections:
                c.cut()

    def mend(self):
        self.mended.set()

    def close(self):
        self.mend()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for c in self.connections:
                c.close()
