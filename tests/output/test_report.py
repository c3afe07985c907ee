import base64
import json
import re
import shutil
import subprocess
from html import unescape
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from laser_cli.output.look import Look
from laser_cli.output.record import make_record, read_record
from laser_cli.output.report import ReportCollector

EVIL = "</script><script>alert('ü')</script><img src=x onerror=alert(1)> & \" '"
PLAN = {
    "description": EVIL,
    "source": "a cottage",
    "segments": [
        {"prompt": EVIL, "control": "texture", "strength": 0.8, "frames": 4, "easing": "ease"},
        {"prompt": "a cottage at night", "control": "hold", "strength": 0.0, "frames": 3, "easing": "linear"},
    ],
}


def report(path, frames, look=None, keep=96, settings=None):
    record = make_record("animate", settings or {"plan": PLAN, "steps": 25, "note": EVIL}, prompt=EVIL, seed=3)
    page = ReportCollector(len(frames), look or Look(), record, f'laser animate "{EVIL}" -o a.mp4', keep)
    for index, frame in enumerate(frames):
        page.add(index, frame)
    page.save(path)
    return record, path.read_text("utf-8"), page


def embedded(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="frames">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_needs_nothing_from_elsewhere_and_escapes_all_texts(tmp_path, smooth):
    record, page, _ = report(tmp_path / "r.html", [smooth(index) for index in range(6)])
    assert not re.search(r"https?:|[\"'(]//|@import|<link|\bsrc=\"(?!data:)|url\(", page)
    assert EVIL not in page and "<script>alert" not in page and "<img src=x" not in page
    assert page.count("</script>") == 3 == page.count("<script")
    assert unescape(page).count(EVIL) >= 4  # title, plan, command, settings
    assert read_record(tmp_path / "r.html") == record


def test_holds_the_frames_the_plan_and_the_distances(tmp_path):
    levels = [10, 20, 40, 40, 50, 60]
    frames = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    _, page, collector = report(tmp_path / "r.html", frames, Look(fps=8, bounce=True, hold_last=2))
    assert collector.distances == [10, 20, 0, 10, 10]
    assert "10.00 on average, 20.00 at most" in page and page.count("<polyline") == 1
    data = embedded(page)
    assert data["numbers"] == [0, 1, 2, 3, 4, 5] and data["order"] == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1]
    assert (data["count"], data["fps"], data["holds"]) == (6, 8, [0, 2])
    for uri, level in zip(data["pictures"], levels, strict=True):
        with Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,")))) as picture:
            assert abs(np.array(picture.convert("RGB")).mean() - level) < 3
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", page)
    assert rows[0] == ("0", "a cottage") and rows[1][0] == "0 to 3"
    assert rows[2] == ("3 to 5", "a cottage at night")
    assert ("settings.steps", "25") in rows and ("seed", "3") in rows


def test_many_frames_are_thinned_out_and_large_ones_made_small(tmp_path):
    frames = [np.full((300, 600, 3), index, np.uint8) for index in range(40)]
    _, page, collector = report(tmp_path / "r.html", frames, keep=5)
    data = embedded(page)
    assert data["numbers"] == [0, 10, 20, 29, 39] and len(collector.distances) == 39
    assert "5 of 40 frames" in page
    with Image.open(BytesIO(base64.b64decode(data["pictures"][0].split(",")[1]))) as picture:
        assert picture.size == (512, 256)


def test_one_frame_and_no_plan_make_a_page_and_the_bytes_are_stable(tmp_path, smooth):
    for name in ("a.html", "b.html"):
        _, page, _ = report(tmp_path / name, [smooth()], settings={"plan": None})
    assert "only one frame" in page and "<h2>Plan" not in page
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.slow
def test_plays_in_a_real_browser(tmp_path, smooth):
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium")
    report(tmp_path / "r.html", [smooth(index) for index in range(6)], Look(fps=10))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *flags, "--virtual-time-budget=250", "--dump-dom", (tmp_path / "r.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    assert 'data-ready="6"' in done.stdout
    assert '<button id="play" type="button">Pause</button>' in done.stdout
    assert re.search(r'<output id="where">frame [0-5] of 6, 0\.\d\d s</output>', done.stdout)
    assert "<script>alert" not in done.stdout


def test_what_drives_the_frames_is_shown_beside_them(tmp_path, smooth):
    frames, drives = [smooth(i) for i in range(6)], (smooth(i, 32, 32) for i in range(100, 106))
    page = ReportCollector(6, Look(), make_record("animate", {}, prompt="a", seed=0), keep=3, beside=drives)
    for index, frame in enumerate(frames):
        page.add(index, frame)
    page.save(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    told = embedded(text)
    # as many as frames are kept, each of its own moment
    assert len(told["drives"]) == len(told["pictures"]) == 3 and len(set(told["drives"])) == 3
    assert f'<img id="drive" src="{told["drives"][0]}"' in text
    assert Image.open(BytesIO(base64.b64decode(told["drives"][1].partition(",")[2]))).size == (32, 32)


def test_without_a_drive_there_is_no_place_for_one(tmp_path, smooth):
    _, text, _ = report(tmp_path / "r.html", [smooth(0), smooth(1)])
    assert 'id="drive"' not in text and embedded(text)["drives"] == []
