"""Watch this machine for about a minute: a model is trained, a fault is made, the alarm rings.

Run by ``make demo``; needs nothing but the installed package. The fault is real: every core is
kept busy and a file is written for some seconds. A local webhook takes the alarm, and checks its
signature.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tocsin.responders.webhook import verify

EVENTS = 80
EVERY = 0.25
FAULT = 15.0
LONGEST = 150.0

CONFIG = """\
store: sqlite:///live.db
monitors:
  machine:
    source: {{type: host, every: {every}s}}
    model: live-model
    training: {{detector: auto, after: {events}, false_alarms: 0.01}}
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
    key = secrets.token_hex(16)
    received: queue.Queue[dict[str, Any]] = queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _hook(received, key))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "tocsin.yaml"
    config.write_text(CONFIG.format(every=EVERY, events=EVENTS, port=server.server_port))
    print(f"$ tocsin up --config {config}")
    print(f"  {EVENTS * EVERY:.0f} s of this machine as it is are learned as normal …", flush=True)
    running = subprocess.Popen(
        [sys.executable, "-m", "tocsin", "up", "--config", str(config)],
        env={**os.environ, "TOCSIN_DEMO_SECRET": key},
        stderr=subprocess.STDOUT,
        stdout=(log := (folder / "up.log").open("w+")),
    )
    try:
        if not _wait_for(folder / "up.log", "scores by", running):
            print((folder / "up.log").read_text())
            return 1
        time.sleep(8 * EVERY)
        while not received.empty():
            received.get()
        print(f"\nA fault: every core is kept busy and a disk is written to for {FAULT:.0f} s.")
        alarm = _fault(folder, received)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(timeout=30)
        log.close()
        server.shutdown()
    if alarm is None:
        print("No alarm came; what happened is in " + str(folder / "up.log"))
        return 1
    _show(alarm)
    subprocess.run(
        [sys.executable, "-m", "tocsin", "alarms", "list", "--all", "--config", str(config)],
        check=True,
    )
    print(f"\nAll of it is in {folder}: tocsin.yaml, live.db, up.log and the model.")
    return 0


def _fault(folder: Path, received: queue.Queue[dict[str, Any]]) -> dict[str, Any] | None:
    """Burden this machine, and return the alarm that arrives."""
    burden = (
        f"import os, time; end = time.time() + {FAULT}\n"
        "while time.time() < end:\n"
        "    with open('burden', 'wb') as file:\n"
        "        file.write(os.urandom(4_000_000)); os.fsync(file.fileno())\n"
    )
    busy = f"import time; end = time.time() + {FAULT}\nwhile time.time() < end: pass"
    codes = [burden, *[busy] * (os.cpu_count() or 1)]
    faults = [subprocess.Popen([sys.executable, "-c", code], cwd=folder) for code in codes]
    try:
        return received.get(timeout=FAULT + 15)
    except queue.Empty:
        return None
    finally:
        for fault in faults:
            fault.kill()
            fault.wait()


def _show(notice: dict[str, Any]) -> None:
    alarm = notice["alarms"][0]
    print("\nThe webhook got, with a signature that holds:")
    print(f"  {alarm['severity']}: {alarm['summary']}")
    for reason in alarm["reasons"]:
        print(f"  {reason['weight']:>4.0%}  {reason['name']}: {reason['seen']:,.4g}", end="")
        print(f"  (expected {reason['expected']:,.4g})" if reason["expected"] is not None else "")
    print("\n$ tocsin alarms list --all", flush=True)


def _hook(received: queue.Queue[dict[str, Any]], key: str) -> type[BaseHTTPRequestHandler]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = verify(body, dict(self.headers), key)
            self.send_response(204 if known else 401)
            self.end_headers()
            notice = json.loads(body)
            if known and notice["kind"] in ("opened", "raised"):
                received.put(notice)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    return Hook


def _wait_for(log: Path, words: str, running: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and running.poll() is None:
        if words in log.read_text():
            return True
        time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out").resolve()))
