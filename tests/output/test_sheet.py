import numpy as np
import pytest

from laser_cli.output.frames import read_picture
from laser_cli.output.record import make_record, read_record
from laser_cli.output.sheet import SheetCollector, contact_sheet


def test_holds_every_frame_on_white_with_dark_text(smooth):
    frames = [(index, np.full((100, 120, 3), (200, 60, 60), np.uint8)) for index in range(5)]
    page = contact_sheet(frames, labels=["a fox"] * 5, columns=3)
    assert page.dtype == np.uint8 and tuple(page[0, 0]) == (255, 255, 255)
    assert (page == (200, 60, 60)).all(axis=-1).sum() == 5 * 100 * 120
    assert page.sum(axis=-1).min() < 150
    assert page.shape[1] < 3 * 160


def test_captions_belong_to_their_frames(smooth):
    frames = [(0, smooth()), (7, smooth())]
    plain = contact_sheet(frames, {3: "not shown"}, columns=2)
    told = contact_sheet(
        frames, {7: "a very long prompt that goes over more lines than there is room for " * 3}, columns=2
    )
    assert told.shape[0] > plain.shape[0] and told.shape[1] == plain.shape[1]
    middle = told.shape[1] // 2
    below = told[plain.shape[0] - 8 :]
    assert below[:, :middle].min() == 255 and below[:, middle:].min() < 150


def test_a_page_without_frames_is_refused():
    with pytest.raises(ValueError):
        contact_sheet([])


@pytest.mark.parametrize(
    ("count", "keep", "kept"), [(1, 12, [0]), (5, 12, [0, 1, 2, 3, 4]), (1000, 4, [0, 333, 666, 999])]
)
def test_keeps_few_frames_evenly_chosen(count, keep, kept):
    collector = SheetCollector(count, keep)
    for index in range(count):
        collector.add(index, np.full((32, 32, 3), index % 256, np.uint8))
    assert [index for index, _ in collector.kept] == kept


def test_kept_frames_are_small_copies():
    collector = SheetCollector(1)
    frame = np.zeros((1024, 512, 3), np.uint8)
    collector.add(0, frame)
    assert collector.kept[0][1].shape == (256, 128, 3)
    frame = np.zeros((64, 64, 3), np.uint8)
    collector = SheetCollector(1)
    collector.add(0, frame)
    frame[:] = 255  # the renderer uses its buffer again
    assert collector.kept[0][1].max() == 0


def test_the_sheet_carries_the_record_and_is_stable(tmp_path, smooth):
    record = make_record("animate", {}, prompt="a fox")
    for name in ("a.png", "b.png"):
        collector = SheetCollector(20, 6, labels=["Füchse"] * 20)
        for index in range(20):
            collector.add(index, smooth(index))
        collector.save(tmp_path / name, record)
    assert read_record(tmp_path / "a.png") == record
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_picture(tmp_path / "a.png").shape[0] > 100
