"""A small shop, a real web service for ``live.py`` to watch and break: prices of things by name.

``python shop.py PRICES LOG`` answers ``GET /NAME`` from the JSON file PRICES at a port that it
prints. After every 10 requests it writes a JSON line to LOG: how many of them failed, and how
many bytes were sent.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

EACH = 10


class Shop(BaseHTTPRequestHandler):
    """Answers a request for a price, from the file as it is at that moment."""

    prices: Path
    log: Path
    answered: ClassVar[list[tuple[int, int]]] = []

    def do_GET(self) -> None:
        """Answer 200 with the price, 404 for what the shop does not have, 500 without prices."""
        try:
            price = json.loads(self.prices.read_text()).get(self.path[1:])
            status, body = (404, b"") if price is None else (200, json.dumps(price).encode())
        except OSError:
            status, body = 500, b""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)
        self.answered.append((status, len(body)))
        if len(self.answered) == EACH:
            self._write()

    def _write(self) -> None:
        statuses, sizes = zip(*self.answered, strict=True)
        self.answered.clear()
        line = {
            "time": datetime.now(UTC).isoformat(),
            "failed": sum(status != 200 for status in statuses),
            "bytes": sum(sizes),
        }
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing of single requests."""


if __name__ == "__main__":
    Shop.prices, Shop.log = map(Path, sys.argv[1:])
    with HTTPServer(("127.0.0.1", 0), Shop) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
