"""How descriptions are worded: idioms, other languages, and what a change ends."""

import pytest

from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.rules.languages import in_english


@pytest.mark.parametrize(
    ("description", "english"),
    [
        ("die Nacht bricht herein", "night falls"),
        ("Der Ball wird rot, dann geht die Sonne unter", "the Ball becomes red, then the sun sets"),
        ("das Mädchen setzt eine blaue Mütze auf", "the girl puts on a blue cap"),
        ("der Hund verwandelt sich in einen Löwen", "the dog turns into a lion"),
        ("la nuit tombe", "night falls"),
        (
            "le chat se transforme en tigre, puis il commence à neiger",
            "the cat turns into tiger, then it starts to snow",
        ),
        ("une fleur rouge apparaît", "a red flower appears"),
        # English stays as it is, whatever words it shares
        ("the ball turns blue and the sun sets", "the ball turns blue and the sun sets"),
        ("a rose in the sun dies", "a rose in the sun dies"),
        ("zounds quux", "zounds quux"),
        ("", ""),
    ],
)
def test_german_and_french_are_told_in_english(description, english):
    assert in_english(description).casefold() == english.casefold()


@pytest.mark.parametrize(
    ("description", "source", "prompt"),
    [
        # idioms
        ("the girl bursts into tears", "a happy girl", "a girl crying"),
        ("the barn catches fire", "a barn on a hill", "a burning barn on a hill"),
        ("the ball should become green", "a red ball", "a green ball"),
        ("change the style to anime", "a photo of a cat", "an anime drawing of a cat"),
        # what a change ends
        ("the gate opens", "a closed gate", "a gate opening"),
        ("the pear rots", "a ripe pear", "a rotten pear"),
        ("the lantern goes out", "a lit lantern on a pier", "a dark lantern on a pier"),
        ("a cat appears", "an empty room", "a room, with a cat"),
        ("the people vanish", "a crowded square with people", "a square"),
        ("the car vanishes", "a car on a street", "an empty street"),
        ("the cat vanishes", "a cat and a dog on a rug", "a dog on a rug"),
        ("she removes her hat", "a woman with a hat", "a woman"),
        ("he changes into a suit", "a man in a coat", "a man in a suit"),
        ("the juice turns to wine", "a glass of juice", "a glass of wine"),
        ("in spring its fur turns brown", "a rabbit", "a rabbit, with brown fur in spring"),
        ("before night falls, the man sits down", "a man", "a man sitting down at night"),
    ],
)
def test_wordings(description, source, prompt):
    assert plan_by_rules(description, source).plan.prompts[-1] == prompt
