"""Which pictures go through the backbone together."""

from hypothesis import given
from hypothesis import strategies as st

from laser_cli.engine.batches import Call, Rounds, shares
from laser_cli.engine.spec import Frame, RenderSpec
from tests.engine.toy import animation, keyframe, told

counts = st.integers(1, 9)


@given(st.integers(0, 80), st.integers(1, 20), counts, st.integers(0, 9))
def test_members_are_shared_out_in_order_and_evenly(members, size, workers, load):
    parts = shares(range(members), size, workers, load)
    assert [member for part in parts for member in part] == list(range(members))
    assert all(0 < len(part) <= size for part in parts)
    if members >= workers:
        lengths = [len(part) for part in parts[:-1]]
        assert not lengths or max(lengths) - min(lengths) <= 1
        assert not parts or len(parts[-1]) <= max(len(part) for part in parts)


def test_the_worker_that_has_drawn_the_keyframes_gets_fewer_frames():
    assert [len(part) for part in shares(range(22), 12, 2, load=2)] == [12, 10]
    assert [len(part) for part in shares(range(22), 12, 1, load=2)] == [11, 11]


@given(st.integers(0, 5), st.integers(1, 6), st.booleans(), st.integers(1, 12), counts, st.data())
def test_every_picture_is_drawn_at_every_step_after_what_it_reads(begin, segments, read, size, workers, data):
    steps = 6
    ends = [keyframe(k, texture=0.5 * read) for k in range(segments + 1)]
    starts = data.draw(st.lists(st.tuples(st.integers(0, segments - 1), st.integers(0, steps - 1)), max_size=9))
    spec = RenderSpec(ends, [Frame(segment, 0.5, start) for segment, start in starts], told(9), source=0)
    rounds = Rounds(spec, steps, True, read, size, workers)
    seen, at = [], {}
    for step in range(rounds.first(begin), steps):
        calls = rounds.calls(step, begin, size)
        done = dict.fromkeys(seen)
        for call in calls:
            assert 0 < len(call.members) <= size
            for k in call.members if call.kind == "keyframes" else ():
                beside = call.members.index(0) == 0 if 0 in call.members else ("keyframes", 0, call.step) in done
                assert not read or k == 0 or beside, "a keyframe is drawn before the source that it reads"
            if call.kind == "frames":
                assert all(("keyframes", k, call.step) in done for k in range(segments + 1))
        for call in calls:
            for member in call.members:
                last = at.get((call.kind, member))
                assert last is None or call.step == last + 1
                at[call.kind, member] = call.step
                seen.append((call.kind, member, call.step))
    wanted = [("keyframes", k, step) for k in range(segments + 1) for step in range(begin, steps)]
    wanted += [("frames", j, step) for j, (_, start) in enumerate(starts) for step in range(max(begin, start), steps)]
    assert sorted(seen) == sorted(wanted)


def test_groups_are_the_source_and_segments():
    spec = animation([Frame(0, 0.5), Frame(1, 0.5), Frame(1, 0.7)], {"texture": 1.0}, {}, {})
    rounds = Rounds(spec, 3, True, True, 12)
    assert rounds.groups(Call("keyframes", 0, (0, 1, 2))) == [(0,), (1, 2)]
    assert rounds.groups(Call("frames", 0, (0, 1, 2))) == [(0,), (1, 2)]
    assert [rounds.rows("keyframes", k) for k in range(3)] == [1, 2, 2], "the source needs no guidance"


def test_a_call_is_cut_into_calls_of_a_size():
    call = Call("frames", 3, (4, 5, 6, 7, 8))
    assert [part.members for part in call.cut(2)] == [(4, 5), (6, 7), (8,)]
    assert {(part.kind, part.step) for part in call.cut(2)} == {("frames", 3)} and call.cut(9) == [call]
