"""Many streams at once, on asyncio's sockets: no client library between the test and the wire."""

import asyncio
import json
import time
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What one stream gave. Times are in seconds since it was asked for."""

    adapter: str
    texts: list[str] = field(default_factory=list)
    whole: str | None = None
    error: str | None = None
    first_token: float | None = None
    last_token: float | None = None
    left: bool = False

    def check(self, tokens: int):
        assert self.error is None, self.error
        assert len(self.texts) == tokens, (self.adapter, len(self.texts))
        assert self.whole == "".join(self.texts)
        assert self.whole.startswith(f"@{self.adapter}")


async def run_stream(port: int, outcome: Outcome, body: dict, leave_after: int | None = None):
    """Reads one stream to its end, or closes the connection after some tokens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    payload = json.dumps(body).encode()
    head = (
        f"POST /generate_stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    started = time.monotonic()
    try:
        rest = b""
        while part := await reader.read(65536):
            # By events and not by lines: there are hundreds of thousands.
            *events, rest = (rest + part).split(b"\n\n")
            for text in events:
                if (at := text.find(b"data:")) < 0:
                    continue
                event = json.loads(text[at + 5 :])
                if "error" in event:
                    outcome.error = event["error"]
                    return
                outcome.last_token = time.monotonic() - started
                if outcome.first_token is None:
                    outcome.first_token = outcome.last_token
                outcome.texts.append(event["token"]["text"])
                outcome.whole = event["generated_text"]
                if leave_after is not None and len(outcome.texts) >= leave_after:
                    outcome.left = True
                    return
    finally:
        writer.close()


async def run_all(port: int, bodies: list[dict], leave_after=lambda i: None) -> list[Outcome]:
    outcomes = [Outcome(b["parameters"].get("adapter_id", "base")) for b in bodies]
    await asyncio.gather(
        *(run_stream(port, o, b, leave_after(i)) for i, (o, b) in enumerate(zip(outcomes, bodies)))
    )
    return outcomes
