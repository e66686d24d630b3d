"""HTTP for tests, on the standard library: whole answers, streams, raw bytes."""

import http.client
import json
import socket
from dataclasses import dataclass, field

LIMIT_S = 30.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Stream:
    """A server-sent event stream that is being read. Close it early to leave."""

    status: int
    headers: dict[str, str]
    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    comments: int = 0

    def __iter__(self):
        """The events: JSON as objects, anything else as text."""
        for data in self.data():
            yield data if data == "[DONE]" else json.loads(data)

    def data(self):
        """The text after `data: ` of each event; asserts the framing."""
        while line := self.response.readline():
            if line.startswith(b":"):
                self.comments += 1
            else:
                assert line.startswith(b"data: "), line
                yield line[len(b"data: ") : -1].decode()
            assert self.response.readline() == b"\n"

    def close(self):
        self.response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Http:
    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def _start(self, method: str, path: str, body, headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LIMIT_S)
        sent = {**self.headers, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        connection.request(method, path, body, sent)
        return connection, connection.getresponse()

    def call(self, method: str, path: str, body=None, headers=None) -> Answer:
        connection, response = self._start(method, path, body, headers)
        try:
            names = {k.lower(): v for k, v in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers=None) -> Answer:
        return self.call("GET", path, None, headers)

    def post(self, path: str, body, headers=None) -> Answer:
        return self.call("POST", path, body, headers)

    def stream(self, path: str, body, headers=None) -> Stream:
        """Begins a stream; its events are read by iterating."""
        connection, response = self._start("POST", path, body, headers)
        names = {k.lower(): v for k, v in response.getheaders()}
        return Stream(response.status, names, connection, response)

    def events(self, path: str, body, headers=None) -> list:
        """All events of a stream that must begin with status 200."""
        with self.stream(path, body, headers) as stream:
            assert stream.status == 200, stream.response.read()
            assert stream.headers["content-type"] == "text/event-stream"
            return list(stream)

    def raw(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection((self.host, self.port), timeout=LIMIT_S)
