"""Twins differ in what their captions tell, and in nothing that moves the picture's parts."""

import random
from dataclasses import fields
from itertools import islice

from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.twins import PUPPET_PARTS, SCENE_PARTS, twin
from laser_cli.storybook.world import caption_of, items


def test_a_twin_has_one_part_of_its_own():
    rng = random.Random(0)
    for item in islice(items(3, puppets=0.5), 400):
        other = twin(item, rng)
        differs = {f.name for f in fields(item) if getattr(item, f.name) != getattr(other, f.name)}
        parts = PUPPET_PARTS if isinstance(item, Puppet) else SCENE_PARTS
        assert type(other) is type(item) and any(differs <= set(names) for names in parts)


def test_every_part_comes_and_most_twins_are_told_otherwise():
    rng, seen, told = random.Random(0), set(), []
    for item in islice(items(4, puppets=0.5), 600):
        other = twin(item, rng)
        seen |= {f.name for f in fields(item) if getattr(item, f.name) != getattr(other, f.name)}
        if other != item:
            told.append(caption_of(item) != caption_of(other))
    assert seen == {name for parts in (PUPPET_PARTS, SCENE_PARTS) for names in parts for name in names}
    assert sum(told) / len(told) > 0.8
