"""Sentences of the open world, as people write them: source, description, and the prompts they should give."""

import pytest

from laser_cli.plan.rules import plan_by_rules

TABLE = [
    # landscapes, seasons, light and weather
    (
        "a cottage in a meadow at noon",
        "summer turns to a snowy night",
        ["a cottage in a meadow at night in falling snow, covered in snow"],
    ),
    ("a lake at dawn", "fog rolls in over the lake", ["a lake at dawn in the fog"]),
    ("a lake at dawn in the fog", "the fog lifts and the sun comes out", ["a lake at dawn, under a clear sky"]),
    ("a lighthouse by the sea by day", "day turns to night", ["a lighthouse by the sea at night"]),
    ("a cabin in the forest in summer", "it becomes winter", ["a cabin in the forest, in winter"]),
    ("a path in the woods", "slowly, autumn arrives", ["a path in the woods in autumn"]),
    ("a tree by a lake", "spring turns into autumn", ["a tree by a lake in autumn"]),
    ("a cottage in a meadow at noon", "the sky turns red", ["a cottage in a meadow at noon, under a red sky"]),
    (
        "a barn on a hill at noon",
        "it begins to rain, then the rain stops",
        ["a barn on a hill at noon in the rain", "a barn on a hill at noon"],
    ),
    ("a castle by a lake by day", "from day to night", ["a castle by a lake at night"]),
    (
        "a house on a hill at noon",
        "Night falls; the windows light up",
        ["a house on a hill at night", "a house on a hill at night, the windows lighting up"],
    ),
    (
        "a lighthouse by the sea",
        "waves crash against the rocks",
        ["a lighthouse by the sea, waves crashing against the rocks"],
    ),
    ("a ship on the ocean", "the sea gives way to a desert", ["a ship in the desert"]),
    ("a city street at noon", "snow covers the ground as the sun sets", ["a city street at sunset, covered in snow"]),
    ("a cabin in the woods in summer", "the seasons change from summer to winter", ["a cabin in the woods, in winter"]),
    ("a park in autumn", "leaves fall from the trees", ["a park in autumn, leaves falling from the trees"]),
    ("a lake in the forest", "everything freezes", ["a frozen lake in the forest"]),
    ("a valley after the rain", "a rainbow appears", ["a valley after the rain, with a rainbow"]),
    ("a castle on a hill", "the castle crumbles into ruins", ["ruins on a hill"]),
    ("a dog in the rain", "after the rain stops, the sun comes out", ["a dog", "a dog, under a clear sky"]),
    # animals
    (None, "a cat turns into a dog", ["a dog"]),
    ("a brown horse in a field", "the horse becomes a zebra", ["a zebra in a field"]),
    (None, "a sitting cat becomes a jumping dog", ["a jumping dog"]),
    ("a cat sitting on the ground", "the cat jumps", ["a cat jumping on the ground"]),
    ("a horse standing in a field", "the horse starts to gallop", ["a horse galloping in a field"]),
    (
        "a wolf on a hill",
        "the wolf howls at the moon as night falls",
        ["a wolf howling at the moon on a hill at night"],
    ),
    (
        "a caterpillar on a leaf",
        "the caterpillar turns into a butterfly before flying away",
        ["a butterfly on a leaf", "a butterfly flying away on a leaf"],
    ),
    (None, "a horse turns into a zebra, then into a giraffe", ["a zebra", "a giraffe"]),
    (None, "two cats become two dogs", ["two dogs"]),
    (
        "a dog in a kitchen",
        "the dog sits down, then lies down",
        ["a dog sitting down in a kitchen", "a dog lying down in a kitchen"],
    ),
    ("a king by a pond", "the king becomes a frog", ["a frog by a pond"]),
    (None, "a brown bear becomes a polar bear", ["a polar bear"]),
    (None, "a puppy grows into a large dog", ["a large dog"]),
    ("a dog in a garden", "the dog barks", ["a dog barking in a garden"]),
    # people
    ("a young man on a street", "the young man grows old", ["an old man on a street"]),
    (None, "an old man becomes a young boy", ["a young boy"]),
    ("a woman in a garden", "her hair turns white", ["a woman in a garden, with white hair"]),
    (
        "a portrait of a woman",
        "she smiles, then she closes her eyes",
        ["a portrait of a woman smiling", "a portrait of a woman closing her eyes"],
    ),
    ("a woman in a red dress", "the dress turns blue", ["a woman in a blue dress"]),
    ("a man on a bench", "the man puts on a hat", ["a man wearing a hat on a bench"]),
    ("a man with a hat in a park", "the hat disappears", ["a man in a park"]),
    ("a young man on a street", "the man grows a beard", ["a young man with a beard on a street"]),
    ("a girl sitting on a bench at night", "she looks up", ["a girl looking up on a bench at night"]),
    ("a man in a museum", "the man turns to stone", ["a stone man in a museum"]),
    (
        "a portrait of a boy with closed eyes",
        "the boy opens his eyes, then he smiles",
        ["a portrait of a boy with open eyes", "a portrait of a boy smiling with open eyes"],
    ),
    ("a man with a hat", "he takes off his hat", ["a man"]),
    ("a vase of flowers on a table", "the flowers wilt", ["a vase of wilted flowers on a table"]),
    ("a full moon over the sea", "the moon turns blood red", ["a full blood red moon over the sea"]),
    ("a desert under a blue sky", "the desert turns green after the rain", ["a green desert under a blue sky"]),
    # things, styles and orders
    ("a sketch of a cat", "from a sketch to an oil painting", ["an oil painting of a cat"]),
    (
        "a cat on a sofa",
        "the cat becomes a lion; the sofa becomes a throne",
        ["a lion on a sofa", "a lion on a throne"],
    ),
    ("a cabin", "it's night", ["a cabin at night"]),
    ("a photo of a dog on a beach", "the photo becomes an oil painting", ["an oil painting of a dog on a beach"]),
    ("a dog on a beach", "make it a pencil sketch", ["a pencil sketch of a dog on a beach"]),
    (
        "a pumpkin in a garden at midnight",
        "the pumpkin transforms into a carriage",
        ["a carriage in a garden at midnight"],
    ),
    ("a boat on a lake", "the boat drifts to the left", ["a boat on the left on a lake"]),
    ("a house by a river", "paint the house red", ["a red house by a river"]),
    ("a dog in a park", "make it snow", ["a dog in a park in falling snow"]),
    ("a cat on a mat", "change the cat into a dog", ["a dog on a mat"]),
    ("a balloon in a park", "the balloon gets bigger and turns orange", ["a big orange balloon in a park"]),
    ("a red car", "its colour changes to green", ["a green car"]),
    ("a busy street by day", "the neon signs turn on", ["a busy street by day, with lit neon signs"]),
    ("a man with a hat", "he takes off his hat and waves", ["a man waving"]),
    ("a man with a beard in a forest", "he shaves off his beard", ["a man in a forest"]),
    ("a boy on a bicycle", "the boy grows up into an old man", ["an old man on a bicycle"]),
    ("a mermaid on a rock", "her tail turns into legs", ["a mermaid with legs on a rock"]),
    ("a flock of sheep on a hill", "the sheep turn into clouds", ["a flock of clouds on a hill"]),
    ("a forest in winter", "wild flowers come out", ["a forest in winter, wild flowers coming out"]),
    ("a sad girl", "she looks surprised, then she laughs", ["a surprised girl", "a surprised girl laughing"]),
    ("a bridge", "over the years, weeds grow all over it", ["a bridge, weeds growing"]),
    (
        "a photo of a lighthouse",
        "turn it into a van Gogh style oil painting",
        ["a van Gogh style oil painting of a lighthouse"],
    ),
    ("an empty square", "the streets fill with people", ["a square with people"]),
]


@pytest.mark.parametrize(("source", "description", "expected"), TABLE, ids=[row[1] for row in TABLE])
def test_open_domain(source, description, expected):
    plan, notes = plan_by_rules(description, source)
    assert list(plan.prompts[1:]) == expected
    assert notes == ()
    if source is not None:
        assert plan.source == source


@pytest.mark.parametrize(
    ("description", "source"),
    [
        ("a cat turns into a dog", "a cat"),
        ("the horse becomes a zebra", "a horse"),
        ("the two dogs become two cats", "two dogs"),
        ("As night falls, a wolf howls at the moon", "a wolf"),
        ("a dragon breathes fire", "a dragon"),
        ("an old castle on a hill crumbles into ruins", "an old castle on a hill"),
        ("a young woman in a red dress slowly grows old", "a young woman in a red dress"),
        ("a summer day turns into a snowy night", "a summer day"),
        ("a garden slowly gets covered in snow", "a garden"),
    ],
)
def test_sources_named_in_the_description(description, source):
    assert plan_by_rules(description).plan.source == source
