"""The report of images: a contact sheet, self-contained, and nothing of a name is run."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.browser import watched
from support.reports import CARD, EVIL, TURNED, Page, Scored
from support.walls import wall
from tocsin.errors import InputError
from tocsin.explain.images import explain_map
from tocsin.report.images import ImageReport
from tocsin.report.plots.images import overlay, picture
from tocsin.types import Decision, Explanation, ImageDetection, Region, Scores, SkippedImage

NAMES = {0: f'"><img src=x onerror=alert(1)>{EVIL}{TURNED}.png', 1: "good/wall01.png"}


def made(n: int = 12, found: int = 2, *, maps: bool = True, **more: Any) -> ImageDetection:
    """Walls of which the first are anomalies, hot where the spot is."""
    scores = np.linspace(1.0, 2.0, n)
    scores[:found] = 9.0 - np.arange(found) / 100
    heat = np.zeros((24, 32), np.float32)
    heat[10:14, 20:24] = 9
    images = np.empty(n, dtype=object)
    for i in range(n):
        images[i] = wall(i, spot=(80, 40) if i < found else None)
    regions, reasons = explain_map(heat, (96, 128), 9.0, 5.0, 5)
    fields = {
        "images": images,
        "names": tuple(NAMES.get(i, f"wall{i:02}.png") for i in range(n)),
        "sizes": np.tile([96, 128], (n, 1)),
        "maps": dict.fromkeys(range(found), heat) if maps else {},
        "regions": dict.fromkeys(range(found), regions) if maps else {},
        "skipped": (SkippedImage(n, f"{EVIL}.png", f"cannot be decoded: {EVIL}"),),
    }
    return ImageDetection(
        Scores(scores),
        Decision(np.full(n, 0.01), 5.0, scores > 5, 0.01),
        np.arange(n),
        {i: Explanation(i, reasons) for i in range(found)},
        ("one note",),
        **(fields | more),
    )


def written(tmp_path: Path, detection: ImageDetection, settings: Any = None, **more: Any) -> Page:
    pipeline = Scored(CARD, settings)
    path = ImageReport.write(tmp_path / "images.html", detection, pipeline=pipeline, **more)
    return Page(path.read_text(encoding="utf-8"))


def pictures(page: Page) -> list[Image.Image]:
    begins = "data:image/webp;base64,"
    uris = [value for _, name, value in page.attributes if name == "src"]
    return [
        Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(begins))))
        for uri in uris
        if uri.startswith(begins)
    ]


def test_each_anomaly_is_shown_as_it_is_and_with_its_heat(tmp_path: Path) -> None:
    detection = made()
    page = written(tmp_path, detection, title="walls", command="tocsin detect walls")
    shown = pictures(page)
    assert [each.size for each in shown] == [(128, 96)] * 4
    plain, heated = (np.asarray(each.convert("RGB")).astype(int) for each in shown[:2])
    assert np.abs(plain - detection.images[0]).mean() < 12
    changed = np.abs(heated - plain).sum(axis=2)
    assert changed[40:56, 80:96].mean() > 10 * changed[70:, :60].mean()
    box = detection.regions[0][0]
    assert f"x {box.left}–{box.right}, y {box.top}–{box.bottom}" in page.text
    assert "2 anomalies in 12 images" in page.text
    assert "An image is flagged when" in page.text
    assert "128 × 96" in page.text
    assert "one note" in page.text
    assert "tocsin detect walls" in page.text
    assert page.text.index("Ranked anomalies") < page.text.index("Scores")


def test_nothing_of_a_name_is_run_or_turned_around(tmp_path: Path) -> None:
    page = written(tmp_path, made(), title=EVIL, command=EVIL, settings={EVIL: EVIL})
    html = (tmp_path / "images.html").read_text(encoding="utf-8")
    assert page.tags.count("script") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not set("\x00\x1b\u202e") & set(html)
    assert EVIL not in html
    assert "cannot be decoded" in page.text
    assert all(
        value.startswith("data:") for _, name, value in page.attributes if name in ("src", "href")
    )


def test_labels_add_measures(tmp_path: Path) -> None:
    page = written(tmp_path, made(), labels=[1, 0] + [0] * 10)
    assert "Against the labels" in page.text
    assert "false alarms" in page.text
    with pytest.raises(InputError, match="Expected 12 labels"):
        written(tmp_path, made(), labels=[0])


def test_images_that_are_gone_and_images_without_maps_are_no_hindrance(tmp_path: Path) -> None:
    images = made().images.copy()
    images[0] = str(tmp_path / "gone.png")
    page = written(tmp_path, made(images=images))
    assert "can no longer be read" in page.text
    assert len(pictures(page)) == 2
    assert len(pictures(written(tmp_path, made(maps=False)))) == 2
    assert "No image scores above the threshold" in written(tmp_path, made(found=0)).text


def test_the_size_of_the_page_is_bounded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    images = np.empty(230, dtype=object)
    images[:] = [noise] * 230
    page = written(tmp_path, made(230, 230, images=images, sizes=np.tile([700, 900], (230, 1))))
    assert len(pictures(page)) == 400
    assert max(pictures(page)[0].size) == 224
    assert "The top 200 of 230" in page.text
    assert (tmp_path / "images.html").stat().st_size < 15e6


def test_an_overlay_has_its_boxes_where_the_regions_are() -> None:
    large = np.zeros((1200, 3200), np.uint8)
    base = picture(large, 1600)
    assert base.size == (1600, 600)
    region = Region(1600, 400, 2400, 800, 1000, 9.0)
    drawn = np.asarray(overlay(base, (1200, 3200), None, (region,), 5.0))
    assert drawn[200, 800:1200].min() == 255
    assert drawn[300, 800].min() == 255
    assert drawn[300, 1000].max() == 0
    rows, columns = np.nonzero(drawn.max(axis=2) > 200)
    assert (rows.min(), rows.max()) == (200, 399)
    assert (columns.min(), columns.max()) == (800, 1199)


@pytest.mark.parametrize("width", [1200, 390])
def test_the_sheet_fits_any_screen_and_is_searched_and_sorted(
    browser: Any, tmp_path: Path, width: int
) -> None:
    path = ImageReport.write(tmp_path / "images.html", made(found=5), pipeline=Scored())
    opened, complaints = watched(browser, path, viewport={"width": width, "height": 800})
    opened_images = opened.locator(".pictures img")
    assert opened_images.count() == 10
    for image in opened_images.all():
        assert image.evaluate("image => image.complete && image.naturalWidth") == 128
        assert image.bounding_box()["width"] > 100
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert EVIL in opened.inner_text(".sheet")
    rows = opened.locator(".sheet tbody tr:visible")
    opened.get_by_placeholder("Find in the anomalies").fill("WALL01")
    assert rows.count() == 1
    opened.get_by_placeholder("Find in the anomalies").fill("")
    assert rows.count() == 5
    if width > 1000:
        opened.get_by_role("button", name="Image").click()
        assert "wall04" in rows.first.inner_text()
    assert complaints == []
    opened.close()
