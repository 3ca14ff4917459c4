"""Scrapes that come in several requests, and series of one metric, become whole events."""

import asyncio
import sys
import time
from pathlib import Path

import pandas as pd

from support.collecting import collect, taken
from support.remote_write import (
    compressed,
    pushed,
    scrape,
    series,
)
from support.servers import HOST, Server, free_port, program
from tocsin.sources._gathering import Gathering
from tocsin.sources.remote_write import RemoteWrite
from tocsin.types import Batch


def test_a_scrape_in_several_requests_is_one_event() -> None:
    """As of one shard of Prometheus, which sends the next once the one before is answered."""
    metrics = [f"m{i}" for i in range(9)]
    source = RemoteWrite(port=free_port(), metrics=tuple(metrics), gather=2.0)
    bodies = [
        scrape(1_000 * t, entity, metrics[part : part + 3])
        for t in range(1, 6)
        for part in (0, 3, 6)
        for entity in ("a", "b")
    ]
    started = time.monotonic()
    batches, statuses = asyncio.run(pushed(source, bodies, 10))
    assert set(statuses) == {204}
    frame = pd.concat([batch.frame for batch in batches], ignore_index=True)
    assert frame.shape == (10, 9)
    assert not frame.isna().any().any()
    assert time.monotonic() - started < 8  # only the first event of an entity waits


def test_series_of_one_metric_are_columns_by_the_labels_that_tell_them_apart() -> None:
    """Buckets, CPUs and modes: no series takes the place of another."""
    source = RemoteWrite(port=free_port(), metrics=("lat_bucket", "cpu", "up"), gather=0.3)

    def labelled(name: str, **labels: str) -> dict[str, str]:
        return {"__name__": name, "instance": "a", "job": "node", **labels}

    body = b"".join(
        series(labels, [(1_000, float(i))])
        for i, labels in enumerate(
            [
                *(labelled("lat_bucket", le=le) for le in ("0.1", "0.5", "+Inf")),
                *(labelled("cpu", cpu=cpu, mode=m) for cpu in "01" for m in ("idle", "user")),
                labelled("up"),
            ]
        )
    )
    batches, _ = asyncio.run(pushed(source, [body], 1))
    frame = next(batch.frame for batch in batches if len(batch))
    assert frame.iloc[0].to_dict() == {
        "up": 7.0,
        'lat_bucket{le="0.1"}': 0.0,
        'lat_bucket{le="0.5"}': 1.0,
        'lat_bucket{le="+Inf"}': 2.0,
        'cpu{cpu="0",mode="idle"}': 3.0,
        'cpu{cpu="0",mode="user"}': 4.0,
        'cpu{cpu="1",mode="idle"}': 5.0,
        'cpu{cpu="1",mode="user"}': 6.0,
    }


def test_what_is_held_outlives_a_crash_and_what_is_late_is_told() -> None:
    source = RemoteWrite(port=free_port(), metrics=("m0", "m1", "m2"), gather=0.3)
    names = list(source.metrics)
    first, _ = asyncio.run(pushed(source, [scrape(1_000, "a", names[:1])], 0))
    assert not taken(first)
    again, _ = asyncio.run(pushed(source, [], 1, first[-1].offset))
    assert again[0].frame["m0"].tolist() == [0.0]
    bodies = [scrape(2_000, "a", names[:2])] * 2
    batches, _ = asyncio.run(pushed(source, bodies, 1))
    assert taken(batches) == 1  # it came twice
    gathering = Gathering(0.3, None)
    samples = source.request(compressed(scrape(3_000, "a", names))).samples
    assert not gathering.add(samples[:2], 0.0)
    assert len(gathering.taken(1.0)) == 1
    (late,) = gathering.add(samples, 1.0)
    assert late.kind == "late"
    assert "raise gather" in late.reason


EXPORTER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    n = 0
    def log_message(self, *_): pass
    def do_GET(self):
        Handler.n += 1
        lines = [f"m{i} {Handler.n}" for i in range(60)]
        lines += [f'lat_bucket{{le="{le}"}} {Handler.n}' for le in ("0.1", "0.5", "+Inf")]
        body = ("\\n".join(lines) + "\\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_prometheus_itself_writes_whole_events(tmp_path: Path) -> None:
    """A real Prometheus that sends each scrape in many requests: events are whole and in step."""
    binary = program("prometheus", "apt-get install prometheus")
    source = RemoteWrite(
        port=free_port(), metrics=(*(f"m{i}" for i in range(60)), "lat_bucket"), gather=3.0
    )
    exporter, port = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs: [{job_name: app, static_configs: [{targets: "
        f"['{HOST}:{exporter}']}}]}}]\n"
        f"remote_write: [{{url: 'http://{HOST}:{source.port}/', queue_config: "
        "{max_samples_per_send: 20, batch_send_deadline: 500ms}}]\n"
    )
    (tmp_path / "exporter.py").write_text(EXPORTER)
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]

    async def run() -> list[Batch]:
        return await collect(source, 5, within=40)

    with (
        Server([sys.executable, str(tmp_path / "exporter.py"), str(exporter)], exporter, tmp_path),
        Server([binary, *options, f"--web.listen-address={HOST}:{port}"], port, tmp_path),
    ):
        batches = asyncio.run(run())
    frame = pd.concat([batch.frame for batch in batches if len(batch)], ignore_index=True)
    assert not [rejection for batch in batches for rejection in batch.rejected]
    assert frame.shape[1] == 63
    assert not frame.isna().any().any()
    assert (frame.nunique(axis=1) == 1).all()  # all series of a scrape have its number
