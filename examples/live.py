"""Watch a small web shop for half a minute: a model is trained, the shop breaks, the alarm rings.

Run by ``make demo``; needs nothing but the installed package. All of it is real: the shop
(``shop.py``) is a web service, customers ask it for prices, `tocsin up` follows its log, and the
file with its prices is deleted. What is measured are counts per 10 requests, so that however busy
the machine is, only the fault looks like one. A local webhook takes the alarm and checks its
signature.
"""

from __future__ import annotations

import json
import os
import queue
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tocsin.responders.webhook import verify

LINES = 80
LONGEST = 150.0

CONFIG = """\
store: sqlite:///live.db
monitors:
  shop:
    source: {{type: file, path: shop.jsonl, every: 100ms}}
    model: live-model
    training: {{detector: auto, after: {lines}, false_alarms: 0.01}}
    alarms: {{open: 3, of: 5, close_after: 8}}
responders:
  hook:
    type: webhook
    url: http://127.0.0.1:{port}/
    allow: [127.0.0.1]
    secret: {{env: TOCSIN_DEMO_SECRET}}
policies:
  - {{respond: [console, hook], group_wait: 0s, group_interval: 0s}}
"""


def main(out: Path) -> int:
    """Run the loop; return 0 if the alarm came back by the webhook."""
    folder = Path(tempfile.mkdtemp(prefix="live-", dir=out))
    prices = folder / "prices.json"
    prices.write_text(json.dumps({f"thing-{n}": n * n / 7 for n in range(1, 60)}))
    key = secrets.token_hex(16)
    received: queue.Queue[dict[str, Any]] = queue.Queue()
    with _shop(prices, folder / "shop.jsonl"), _hook(received, key) as port:
        config = folder / "tocsin.yaml"
        config.write_text(CONFIG.format(lines=LINES, port=port))
        print(f"$ tocsin up --config {config}")
        print(f"  The first {LINES} lines of a shop's log are learned as normal …", flush=True)
        with _tocsin_up(config, key) as is_running:
            log = folder / "up.log"
            if not _wait_for(lambda: "scored by" in log.read_text(), is_running):
                print(log.read_text())
                return 1
            print("\nA fault: the file with the shop's prices is deleted.", flush=True)
            prices.unlink()
            if not _wait_for(lambda: not received.empty(), is_running):
                print(f"No alarm came; what happened is in {log}")
                return 1
    _show(received.get())
    subprocess.run(
        [sys.executable, "-m", "tocsin", "alarms", "list", "--all", "--config", str(config)],
        check=True,
    )
    print(f"\nAll of it is in {folder}: tocsin.yaml, live.db, shop.jsonl, up.log and the model.")
    return 0


@contextmanager
def _shop(prices: Path, log: Path) -> Iterator[None]:
    """Run the shop, with customers who ask for prices all the time."""
    command = [sys.executable, str(Path(__file__).with_name("shop.py")), str(prices), str(log)]
    stop = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shop:
        assert shop.stdout is not None  # noqa: S101
        url = f"http://127.0.0.1:{int(shop.stdout.readline())}/thing-"
        customers = threading.Thread(target=_ask, args=(url, stop))
        customers.start()
        try:
            yield
        finally:
            stop.set()
            customers.join()
            shop.terminate()


def _ask(url: str, stop: threading.Event) -> None:
    """Ask for things, of which the shop has all but one in twenty."""
    while not stop.wait(0.005):
        try:
            urlopen(f"{url}{random.randint(1, 62)}").read()  # noqa: S310, S311
        except HTTPError as error:
            error.close()


@contextmanager
def _tocsin_up(config: Path, key: str) -> Iterator[Callable[[], bool]]:
    """Run ``tocsin up``; give what tells whether it still runs."""
    command = [sys.executable, "-m", "tocsin", "up", "--config", str(config)]
    environment = {**os.environ, "TOCSIN_DEMO_SECRET": key}
    with (config.parent / "up.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield lambda: running.poll() is None
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(timeout=30)


@contextmanager
def _hook(received: queue.Queue[dict[str, Any]], key: str) -> Iterator[int]:
    """Take notices by a webhook at the port that is given; keep new alarms that are signed."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = verify(body, dict(self.headers), key)
            self.send_response(204 if known else 401)
            self.end_headers()
            notice = json.loads(body)
            if known and notice["kind"] == "opened" and notice["alarms"][0]["kind"] == "anomaly":
                received.put(notice)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def _wait_for(happened: Callable[[], bool], is_running: Callable[[], bool]) -> bool:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and is_running():
        if happened():
            return True
        time.sleep(0.1)
    return False


def _show(notice: dict[str, Any]) -> None:
    alarm = notice["alarms"][0]
    print("\nThe webhook got, with a signature that holds:")
    print(f"  {alarm['severity']}: {alarm['summary']}")
    for reason in alarm["reasons"]:
        print(f"  {reason['weight']:>4.0%}  {reason['name']}: {reason['seen']:,.4g}", end="")
        print(f"  (expected {reason['expected']:,.4g})" if reason["expected"] is not None else "")
    print("\n$ tocsin alarms list --all", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out").resolve()))
