"""A wire to a server on this machine that listens in, and breaks where a test wants it to."""

from __future__ import annotations

import re
import selectors
import socket
import threading
from urllib.parse import urlsplit


class Wire:
    """Forward connections to a server. `url` replaces its address; `requests` are the first lines of what was asked."""

    def __init__(self, server: str) -> None:
        address = urlsplit(server)
        self._server = (address.hostname or "", address.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._sent = bytearray()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._cuts, self._cut_after = 0, 0
        self._replaced = self._by = b""

    def __enter__(self) -> Wire:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def cut(self, after: int, times: int = 1) -> None:
        """Break each of the next connections as soon as it has carried so many bytes of answers."""
        self._cuts, self._cut_after = times, after

    def change(self, what: bytes, by: bytes) -> None:
        """Replace bytes in answers from now on."""
        self._replaced, self._by = what, by

    @property
    def requests(self) -> list[str]:
        return [line.decode() for line in re.findall(rb"([A-Z]+ /\S*) HTTP/1\.1\r\n", self._sent)]

    @property
    def tokens(self) -> list[str]:
        """The tokens that were shown, in order, each once."""
        found = re.findall(rb"(?i)\r\nx-auth-token: (\S+)\r\n", self._sent)
        return list(dict.fromkeys(token.decode() for token in found))

    def _accept(self) -> None:
        self._listening.settimeout(0.02)
        while not self._closed.is_set():
            try:
                client, _ = self._listening.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._forward, args=[client])
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ, server)
            both.register(server, selectors.EVENT_READ, client)
            answered = 0
            while not self._closed.is_set():
                for key, _ in both.select(0.02):
                    data = self._pass_on(key.fileobj, key.data, key.data is client)  # type: ignore[arg-type]
                    if key.data is server:
                        self._sent += data
                    else:
                        answered += len(data)
                    if not data or self._is_cut(answered):
                        return

    def _pass_on(self, source: socket.socket, target: socket.socket, answer: bool) -> bytes:
        try:
            data = source.recv(65536)
            if answer and self._replaced:
                data = data.replace(self._replaced, self._by)
            target.sendall(data)
        except OSError:
            return b""
        return data

    def _is_cut(self, answered: int) -> bool:
        cut = self._cuts > 0 and answered > self._cut_after
        self._cuts -= cut
        return cut
