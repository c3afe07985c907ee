import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from laser_cli.output.fonts import Typesetter, undrawable
from laser_cli.output.sheet import SheetCollector, contact_sheet

SCRIPTS = {
    "latin": "ürgh façade",
    "cyrillic": "красная лиса",
    "chinese": "红色的狐狸",
    "arabic": "ثعلب أحمر",
    "hebrew": "שועל אדום",
    "devanagari": "लाल लोमड़ी",
    "emoji": "🦊🐈",
}


def drawn(text: str, width: int = 300) -> np.ndarray:
    page = Image.new("RGB", (width, 30), "white")
    Typesetter(13).draw(ImageDraw.Draw(page), (0, 2), text, (0, 0, 0), width)
    return np.asarray(page).min(axis=-1)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_letter_of_a_script_has_a_shape_of_its_own(script):
    text = SCRIPTS[script]
    if undrawable([text]):
        pytest.skip(f"no font of this system has {script} letters")
    letters = [letter for letter in text if letter.isalpha() or ord(letter) > 0x1F000]
    shapes = {letter: drawn(letter).tobytes() for letter in letters}
    assert len(set(shapes.values())) == len(shapes)
    assert all(np.frombuffer(shape, np.uint8).min() < 200 for shape in shapes.values())
    assert drawn(text).min() < 150 and 10 < Typesetter(13).length(text) < 200


def test_what_reads_leftwards_stands_at_the_right():
    if undrawable([SCRIPTS["hebrew"]]):
        pytest.skip("no font has Hebrew letters")
    page = drawn(SCRIPTS["hebrew"])
    assert page[:, :100].min() == 255 and page[:, -40:].min() < 150
    page = drawn("fox")
    assert page[:, :40].min() < 150 and page[:, 100:].min() == 255


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without Raqm")
def test_arabic_letters_are_joined():
    if undrawable([SCRIPTS["arabic"]]):
        pytest.skip("no font has Arabic letters")
    setter = Typesetter(13)
    joined, apart = setter.length("ببب"), 3 * setter.length("ب")
    assert joined < 0.9 * apart  # shapes inside a word are narrower than those that stand alone


def test_words_that_no_font_has_are_named_once():
    assert undrawable(["a fox", "\U000e0fff x"]) == []  # a format character has no shape
    missing = "\U0001fbca\U0003ffff"[1:]
    assert undrawable([f"a {missing}z fox", f"{missing}z again"]) in ([f"{missing}z"], [])
    private = "\U0010abcd"
    assert undrawable([f"a {private}x fox {private}x"]) in ([f"{private}x"], [])


def test_captions_of_any_script_fit_their_cells(smooth):
    frames = [(index, smooth()) for index in range(len(SCRIPTS))]
    page = contact_sheet(frames, [text * 12 for text in SCRIPTS.values()], columns=len(SCRIPTS))
    wide = (page.shape[1] - 10) // len(SCRIPTS)  # 10 px stand before each cell
    for column in range(1, len(SCRIPTS)):  # between the cells there is white
        assert page[70:, column * wide + 2 : column * wide + 6].min() > 200


def test_marks_that_steer_text_are_drawn_as_what_they_are():
    assert not np.array_equal(drawn("a\u202eb"), drawn("ab"))
    collector = SheetCollector(1, labels={0: "caf\udce9 \x1b[31m"})
    collector.add(0, np.zeros((32, 32, 3), np.uint8))
    assert collector.undrawable() == []
