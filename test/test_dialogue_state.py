"""Who has the floor: the rules, on any course of events."""

from hypothesis import given
from hypothesis import strategies as st

from llia_ros.dialogue.state import IDLE, LISTENING, SPEAKING, Dialogue, Inputs, step
from llia_ros.model.config import STATES

HOLD = 1.5

inputs = st.builds(
    Inputs,
    user_voice=st.booleans(),
    robot_voice=st.booleans(),
    playing=st.none() | st.booleans(),
    voices=st.dictionaries(st.sampled_from(['anna', 'ben']), st.booleans()),
    override=st.sampled_from(['', '', '', *STATES]),
)
courses = st.lists(st.tuples(st.floats(0, 3), inputs), max_size=40)


def run(course, hold: float = HOLD):
    """Yields (time, inputs, dialogue) of a course of (seconds passed, inputs)."""
    now, dialogue = 1000.0, Dialogue()
    for passed, given_inputs in course:
        now += passed
        dialogue = step(dialogue, given_inputs, now, hold)
        yield now, given_inputs, dialogue


@given(courses)
def test_the_state_is_always_one_of_three_with_a_source(course) -> None:
    for _, _, dialogue in run(course):
        assert dialogue.state in STATES
        assert dialogue.source


@given(courses)
def test_an_override_decides_everything(course) -> None:
    for _, given_inputs, dialogue in run(course):
        if given_inputs.override:
            assert dialogue.state == given_inputs.override
            assert dialogue.source == 'override'
        else:
            assert dialogue.source != 'override'


@given(courses)
def test_the_robot_speaks_exactly_while_it_plays(course) -> None:
    for _, given_inputs, dialogue in run(course):
        if given_inputs.override:
            continue
        assert (dialogue.state == SPEAKING) == given_inputs.robot_is_speaking
        if given_inputs.playing is not None:
            assert (dialogue.state == SPEAKING) == given_inputs.playing


@given(courses)
def test_the_face_listens_while_a_user_speaks_and_for_the_hold_after(course) -> None:
    last_user = float('-inf')
    for now, given_inputs, dialogue in run(course):
        if given_inputs.user_is_speaking:
            last_user = now
        if given_inputs.override or given_inputs.robot_is_speaking:
            continue
        assert (dialogue.state == LISTENING) == (now - last_user < HOLD or now == last_user)
        assert (dialogue.state == IDLE) == (dialogue.source == 'silence')


@given(inputs, st.floats(0, 100))
def test_without_change_nothing_changes_but_the_end_of_listening(given_inputs, hold) -> None:
    first = step(Dialogue(), given_inputs, 10.0, hold)
    again = step(first, given_inputs, 10.0, hold)
    assert again == first
    much_later = step(first, given_inputs, 1e6, hold)
    assert much_later.state == first.state


@given(courses, courses)
def test_what_was_long_ago_is_forgotten(past, course) -> None:
    rested = [(0.0, Inputs()), (HOLD + 0.01, Inputs())]
    fresh = [dialogue.state for _, _, dialogue in run([*rested, *course])]
    used = [dialogue.state for _, _, dialogue in run([*past, *rested, *course])]
    assert used[len(past) + 1 :] == fresh[1:]


@given(st.booleans(), st.booleans())
def test_voices_of_ros4hri_replace_the_own_judgement(own: bool, theirs: bool) -> None:
    dialogue = step(Dialogue(), Inputs(user_voice=own, voices={'anna': theirs}), 0.0, HOLD)
    assert dialogue.state == (LISTENING if theirs else IDLE)
    assert dialogue.source == ('humans/voices/anna' if theirs else 'silence')


def test_a_clock_that_is_set_back_does_not_listen_for_ever() -> None:
    heard = step(Dialogue(), Inputs(user_voice=True), 1e9, HOLD)
    back = step(heard, Inputs(), 5.0, HOLD)
    assert back.state == LISTENING
    assert step(back, Inputs(), 5.0 + HOLD, HOLD).state == IDLE
