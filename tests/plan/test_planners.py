"""The registry of planners: by name, by entry points, and who plans when nobody is named."""

import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from laser_cli import plugins
from laser_cli.errors import NotFoundError
from laser_cli.plan import planners
from laser_cli.plan.request import PlanCallbacks, Planned, PlanRequest
from laser_cli.plan.request import Planner as BasePlanner
from laser_cli.plan.schema import Plan, Planner, Segment

NIGHT = PlanRequest("night falls", "a house at noon")


class Echo(BasePlanner):
    """A planner of another package: it repeats the description, and claims what speaks of echoes."""

    def claims(self, request):
        return "echo" in request.description

    def halfway(self, begin, end):
        return f"{begin}/{end}" if begin.startswith("echo") else None

    def plan(self, request, callbacks):
        segment = Segment(prompt=request.description, frames=request.frames)
        return Planned(Plan(source=request.source, segments=(segment,), planner=Planner(name="echo")))


@pytest.fixture
def echo(monkeypatch):
    module = types.ModuleType("echo_planner")
    module.Echo = Echo
    entry, rules = (EntryPoint(name, "echo_planner:Echo", "laser.planners") for name in ("echo", "rules"))
    monkeypatch.setitem(sys.modules, "echo_planner", module)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry, rules] if group == "laser.planners" else [])
    caches = (planners.registered, planners._load, plugins.brought, plugins.load)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_the_rules_plan_unless_told_otherwise():
    made = planners.make_plan(None, NIGHT)
    assert made.plan.planner.name == "rules"
    assert made.plan.prompts[1:] == ("a house at sunset", "a house at dusk", "a house at night")
    assert len(planners.make_plan("rules", NIGHT, intermediate=False).plan.segments) == 1
    assert (
        len(planners.make_plan("rules", PlanRequest("night falls", "a house at noon", keyframes=1)).plan.segments) == 1
    )


def test_other_packages_bring_planners_and_replace_none(echo):
    notes = []
    assert planners.make_plan("echo", NIGHT).plan.prompts[-1] == "night falls"
    assert planners.make_plan("rules", NIGHT).plan.planner.name == "rules"
    assert "echo" in planners.names() and "echo" in planners.hint()
    claimed = planners.make_plan(None, PlanRequest("an echo fades", "a hall"), PlanCallbacks(notes.append))
    assert claimed.plan.planner.name == "echo" and "planned by echo" in notes[0]
    assert planners.halfway("echo one", "two") == "echo one/two" and planners.halfway("a cat", "a dragon") is None


def test_names_that_are_no_planner():
    for name in ("nobody", "dir/none", ""):
        with pytest.raises(NotFoundError) as caught:
            planners.make_plan(name, NIGHT)
        assert "rules" in caught.value.hint and "FILE.gguf" in caught.value.hint


def test_the_rules_explain_how_they_read():
    lines = []
    planners.make_plan("rules", PlanRequest("night falls, then zounds", "a house"), PlanCallbacks(explain=lines.append))
    assert lines[0] == "stage 1: night falls" and any("time at night" in line for line in lines)
    assert any("not understood: zounds" in line for line in lines)


def test_the_plan_room_knows_nothing_of_storybook():
    room = Path(planners.__file__).parent
    paths = [path for path in room.rglob("*.py") if path.name not in ("embedded.py", "find.py")]
    imports = [line for path in paths for line in path.read_text().splitlines() if "import" in line]
    assert imports and not any("laser_cli.storybook" in line for line in imports)
    code = "import sys; from laser_cli.plan.rules import plan_by_rules; plan_by_rules('night falls', 'a house');"
    code += "sys.exit(any(name.startswith('laser_cli.storybook') or name == 'torch' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=900).returncode == 0
