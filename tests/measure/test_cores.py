"""The bench of cores: real processes that wait for each other's start."""

from dataclasses import replace

import pytest

from laser_cli.engine.workers import Workers
from laser_cli.measure.cores import cores


def test_a_model_that_one_worker_draws_has_nothing_to_compare(storybook):
    assert cores(replace(storybook, workers=Workers(1))) == []


@pytest.mark.slow
def test_runs_alone_spinning_and_side_by_side_are_measured(storybook):
    said = []
    figures = cores(replace(storybook, workers=Workers(2)), frames=3, steps=1, say=said.append)
    assert [figure.target for figure in figures] == [1.0, 1.3, None]
    assert all(figure.value > 0 for figure in figures) and figures[-1].value == 2
    assert said == ["cores: 1 run", "cores: 1 run, spinning threads", "cores: 2 runs"]
