"""The robot's own echo never counts as a user, and a user who talks over it does."""

from collections.abc import Callable

import numpy as np
import pytest

from llia_ros.audio import files
from llia_ros.audio.echo import Echo, EchoMask, make_echo
from llia_ros.audio.stream import RATE, Chunk
from llia_ros.benchmark.room import START, beginnings, echo_of, microphone

TALKS_OVER_AT = 6.0


@pytest.fixture(scope='module')
def robot(speak: Callable) -> np.ndarray:
    return files.read(
        speak(
            'I am a robot and I am speaking for quite a while now, because I want to explain '
            'how everything in here works, from the microphone to the loudspeaker and back.',
            'en-us+m3',
        )
    )


@pytest.fixture(scope='module')
def user(speak: Callable) -> np.ndarray:
    return files.read(speak('Excuse me, could you please stop? I have a question.', 'en+f3'))


def user_speaks_at(
    kind: str, robot: np.ndarray, delay: float, gain: float, user: np.ndarray | None = None
) -> tuple[list[float], Echo]:
    """Seconds at which a user was found to begin, and the echo's judge."""
    judge = make_echo(kind, 4.0)
    heard = microphone(echo_of(robot, delay, gain), user, TALKS_OVER_AT)
    return [found.began for found in beginnings(judge, heard, robot)], judge


PLACES = [(0.03, -8.0), (0.12, -15.0), (0.25, -20.0), (0.4, -30.0)]


def test_without_care_the_robot_would_hear_itself(robot: np.ndarray) -> None:
    begins, _ = user_speaks_at('off', robot, 0.12, -15.0)
    assert begins


@pytest.mark.parametrize(('delay', 'gain'), [*PLACES, (0.12, 0.0)])
def test_the_mask_does_not_take_the_echo_for_a_user(robot, delay, gain) -> None:
    begins, judge = user_speaks_at('mask', robot, delay, gain)
    assert begins == []
    assert isinstance(judge, EchoMask)
    assert judge.gain == pytest.approx(gain, abs=4.0)
    # Reverberation makes it look a little later than it is.
    assert -0.02 <= judge.delay * 0.01 - delay <= 0.05


@pytest.mark.parametrize(('delay', 'gain'), PLACES)
def test_the_mask_lets_a_user_through_who_talks_over_the_robot(robot, user, delay, gain) -> None:
    begins, _ = user_speaks_at('mask', robot, delay, gain, user)
    assert len(begins) >= 1
    assert TALKS_OVER_AT - 0.1 <= begins[0] < TALKS_OVER_AT + 1.0


def test_the_mask_lets_a_user_with_a_headset_through(robot, user) -> None:
    begins, _ = user_speaks_at('mask', robot, 0.1, -90.0, user)
    assert TALKS_OVER_AT - 0.1 <= begins[0] < TALKS_OVER_AT + 0.5


def test_a_user_counts_at_once_when_the_robot_is_silent(user: np.ndarray) -> None:
    begins, _ = user_speaks_at('mask', np.zeros(10 * RATE, np.int16), 0.1, 0.0, user)
    assert TALKS_OVER_AT - 0.1 <= begins[0] < TALKS_OVER_AT + 0.5


def test_cancellation_without_its_package_says_how_to_get_it() -> None:
    try:
        import livekit.rtc.apm  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match=r'llia_ros\[echo\]'):
            make_echo('aec', 6.0)
    else:
        assert make_echo('aec', 6.0).counts(Chunk(np.zeros(512, np.int16), START))


@pytest.mark.parametrize(('delay', 'gain'), PLACES)
def test_cancellation_tells_the_robot_from_a_user(robot, user, delay, gain) -> None:
    pytest.importorskip('livekit.rtc.apm')
    assert user_speaks_at('aec', robot, delay, gain)[0] == []
    begins, _ = user_speaks_at('aec', robot, delay, gain, user)
    assert TALKS_OVER_AT - 0.1 <= begins[0] < TALKS_OVER_AT + 0.6
