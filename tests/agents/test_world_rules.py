"""The rules of each world, on instances written by hand."""

from __future__ import annotations

from laconic.agents.worlds.boxes import BoxesState
from laconic.agents.worlds.lifting import LiftingState
from laconic.agents.worlds.warehouse import Robot, WarehouseState

GRID = BoxesState(
    rows=1, columns=3, total=3, boxes=(("red",), (), ("blue", "red")), targets=((), ("red", "red"), ("blue",)), limit=9
)
FLOOR = WarehouseState(
    tracks=2,
    places=5,
    total=2,
    goals=((0, 0), (1, 0)),
    robots=(Robot((0, 0), loaded=True), Robot((0, 2))),
    boxes=((0, 2),),
    limit=9,
)
GYM = LiftingState(capacities=(3, 5), over=(0, 4, None), weights=(8, 5, 1), limit=9)


def test_arms_hand_boxes_on_and_place_them():
    state, outcome = GRID.after("robot1: move red east; robot3: place blue")
    assert state.boxes == ((), ("red",), ("red",))
    assert state.targets == ((), ("red", "red"), ())
    assert outcome == "step 1: robot1: move red east; robot3: place blue. 1 of 3 boxes are placed"
    state, _ = state.after("robot2: place red; robot3: move red west")
    state, _ = state.after("robot2: place red")
    assert (state.solved, state.score, state.step) == (True, 1.0, 4)


def test_what_an_arm_cannot_do_is_said_with_what_it_can():
    complaint = GRID.complaint("robot1: move blue east; robot2: wait; robot3: place red")
    assert complaint == (
        "robot1 cannot 'move blue east', since there is no blue box in a1 (it can: move red east); "
        "robot3 cannot 'place red', since there is no red target in a3 "
        "(it can: place blue, move blue west, move red west)"
    )
    assert "there is no cell west of a1" in GRID.complaint("robot1: move red west")


def test_two_boxes_may_not_be_moved_into_one_cell():
    plan = "robot1: move red east; robot3: move red west"
    assert GRID.complaint(plan) == "robot1 and robot3 move a box into a2 at once"
    assert GRID.after(plan)[0].boxes == GRID.boxes


def test_robots_drop_pick_and_carry():
    state, _ = FLOOR.after("robot1: drop; robot2: pick")
    assert (state.score, state.boxes, state.robots[1]) == (0.5, (), Robot((0, 2), loaded=True))
    for plan in ["robot1: move south; robot2: move west", "robot2: move west", "robot2: drop"]:
        state, _ = state.after(plan)
    assert state.solved


def test_robots_neither_meet_nor_swap_places():
    assert FLOOR.complaint("robot1: move east; robot2: move west") == "robot1 and robot2 would both be at a2"
    close, _ = FLOOR.after("robot2: move west")
    assert close.complaint("robot1: move east; robot2: move west") == "robot1 and robot2 would swap places, a1 and a2"
    assert close.complaint("robot1: move east") == "robot1 and robot2 would both be at a2"
    assert close.complaint("robot1: move east; robot2: move east") == ""


def test_who_may_not_act_stands_in_the_way_all_the_same():
    close, _ = FLOOR.after("robot2: move west")
    complaint = close.complaint("robot1: move east; robot2: drop")
    assert "robot2 cannot 'drop', since it carries no box" in complaint
    assert "robot1 and robot2 would both be at a2" in complaint


def test_tracks_are_joined_at_their_ends_only():
    assert FLOOR.options("robot1") == ["drop", "move east", "move south"]
    assert FLOOR.options("robot2") == ["pick", "move east", "move west"]
    assert "no track leads south from a3" in FLOOR.complaint("robot2: move south")


def test_a_weight_shows_in_the_attempt():
    state, outcome = GYM.after("robot1: lift box1; robot2: lift box2")
    assert state.over == (3, None, None)
    assert outcome == (
        "step 1: robot1: lift box1; robot2: lift box2. box1 weighs over 3. box2 is lifted. 2 of 3 boxes are lifted"
    )
    state, _ = state.after("robot1: lift box1; robot2: lift box1")
    assert state.solved


def test_who_is_known_to_be_too_weak_may_not_try_and_what_is_lifted_stays():
    assert GYM.complaint("robot1: lift box2") == "box2 weighs over 4, and robot1 lift only 3"
    assert GYM.complaint("robot1: lift box2; robot2: lift box2") == ""
    assert "since box3 is lifted" in GYM.complaint("robot1: lift box3")
    assert "since there is no 'box7'" in GYM.complaint("robot1: lift box7")


def test_no_brief_and_no_view_tells_a_weight():
    other = LiftingState(capacities=(3, 5), over=(0, 4, None), weights=(7, 8, 2), limit=9)
    assert other.brief() == GYM.brief()
    assert [other.view(name) for name in other.names] == [GYM.view(name) for name in GYM.names]
