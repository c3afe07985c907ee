"""Planners side by side on held-out descriptions of scenes and puppets."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from laser_cli.errors import LaserError
from laser_cli.measure.face_prompts import SHOWN, face_attributes, face_differences
from laser_cli.measure.figures import Figure
from laser_cli.measure.plans import bench_rules, differences, scene_attributes
from laser_cli.plan.llm.asked import Asked
from laser_cli.plan.llm.find import EMBEDDED
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import Plan
from laser_cli.storybook.changes import Change, sample_change
from laser_cli.storybook.face_changes import sample_face_change
from laser_cli.storybook.planner_tasks import PUPPETS, control_of
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene

AnyChange = Change[Scene] | Change[Puppet]
PlanOne = Callable[[str, str | None], Plan]
TARGETS = {
    "plans made": 100.0,
    "scenes: final attributes right": 97.0,
    "scenes: order of stages right": 95.0,
    "scenes: unchanged attributes kept": 97.0,
    "faces: expression and direction right": 95.0,
    "faces: unchanged attributes kept": 97.0,
    "control right": 90.0,
}
"""What the embedded planner is held to, in percent; seconds a plan beside them."""
SECONDS = 2.0


@dataclass
class Tally:
    """How often what was right; `seconds` in all."""

    right: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, name: str, right: bool) -> None:
        self.asked[name] = self.asked.get(name, 0) + 1
        self.right[name] = self.right.get(name, 0) + right

    def share(self, name: str) -> float:
        """Percent; 0 of none."""
        return 100 * self.right.get(name, 0) / max(self.asked.get(name, 0), 1)


def bench_plans(items: int, seed: int, say: Callable[[str], None] = lambda text: None) -> list[Figure]:
    """The rules on scenes alone, then all planners on scenes and puppets, each figure beside the others'.

    The embedded planner is measured where its file is there; targets are its own.
    """
    changes = held_out(items, seed)
    tallies = {"rules": tally(by_rules, changes)}
    if EMBEDDED.is_file():
        say("the embedded planner")
        tallies["storybook"] = tally(by_embedded, changes)
    figures = bench_rules(items, seed)
    for name, target in TARGETS.items():
        for planner, found in tallies.items():
            goal = None if planner == "rules" else target
            figures.append(Figure(f"{name}, {planner}", found.share(name), "%", goal, "higher"))
    for planner, found in tallies.items():
        goal = None if planner == "rules" else SECONDS
        figures.append(Figure(f"seconds a plan, {planner}", found.seconds / max(items, 1), "s", goal))
    return figures


def held_out(items: int, seed: int) -> list[AnyChange]:
    """Changes of scenes and puppets from seeds that no training draws from."""
    rng = random.Random(f"bench planners {seed}")
    return [sample_face_change(rng) if rng.random() < PUPPETS else sample_change(rng) for _ in range(items)]


def by_rules(description: str, source: str | None) -> Plan:
    return plan_by_rules(description, source).plan


def by_embedded(description: str, source: str | None) -> Plan:
    """The embedded planner's own plan; LaserError where the rules had to stand in."""
    from laser_cli.plan.llm.converse import Watcher
    from laser_cli.plan.llm.embedded import plan_by_embedded

    plan = plan_by_embedded(Asked(description, source), Watcher()).plan
    if plan.planner.instead_of:
        raise LaserError("the embedded planner gave no plan", why=plan.planner.instead_of)
    return plan


def tally(planner: PlanOne, changes: Sequence[AnyChange]) -> Tally:
    """What a planner gets right; a change without a plan is wrong in all that is asked of it."""
    found = Tally()
    for change in changes:
        start = time.perf_counter()
        try:
            plan = planner(change.description, None if change.names_source else change.source_prompt)
        except LaserError:
            plan = None
        found.seconds += time.perf_counter() - start
        found.count("plans made", plan is not None)
        found.count("control right", plan is not None and [s.control for s in plan.segments] == _controls(change))
        _judge(found, plan, change)
    return found


def _judge(found: Tally, plan: Plan | None, change: AnyChange) -> None:
    prompts = plan.prompts[1:] if plan else ()
    before, end = change.source, change.stages[-1]
    changed = _altered(before, end)
    wrong = _wrong(prompts[-1], end) if prompts else None
    if isinstance(end, Puppet):
        found.count("faces: expression and direction right", wrong is not None and not wrong & set(SHOWN))
        found.count("faces: unchanged attributes kept", wrong is not None and not wrong - changed)
        return
    found.count("scenes: final attributes right", wrong is not None and not wrong & changed)
    found.count("scenes: unchanged attributes kept", wrong is not None and not wrong - changed)
    if len(change.stages) > 1:
        found.count("scenes: order of stages right", _in_order(prompts, change))


def _in_order(prompts: Sequence[str], change: AnyChange) -> bool:
    """Whether there is a prompt for every stage, and each says what has changed by then."""
    stages: tuple[Scene | Puppet, ...] = change.stages
    if len(prompts) != len(stages):
        return False
    return not any(_wrong(p, stage) & _altered(change.source, stage) for p, stage in zip(prompts, stages, strict=True))


def _controls(change: AnyChange) -> list[str]:
    items = (change.source, *change.stages)
    return [control_of(a, b, kinds) for a, b, kinds in zip(items[:-1], items[1:], change.kinds, strict=True)]


def _altered(before: Scene | Puppet, after: Scene | Puppet) -> set[str]:
    a, b = _attributes(before), _attributes(after)
    return {kind for kind in b if b[kind] != a.get(kind)}


def _attributes(item: Scene | Puppet) -> dict[str, object]:
    return face_attributes(item) if isinstance(item, Puppet) else scene_attributes(item)


def _wrong(prompt: str, item: Scene | Puppet) -> set[str]:
    return face_differences(prompt, item) if isinstance(item, Puppet) else set(differences(prompt, item))
