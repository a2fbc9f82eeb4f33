"""The demo's script: who speaks when, and what the user's microphone would have heard."""

from pathlib import Path

import numpy as np
import pytest

import llia_ros.demo
from llia_ros.audio.stream import RATE
from llia_ros.demo.conversation import LINES, VOICES, Line, prolonged, schedule
from llia_ros.demo.voices import spoken

SPEECH = Path(llia_ros.demo.__file__).parent / 'speech'


def test_everybody_waits_for_the_other_but_once():
    cues = schedule().cues
    overlaps = [
        later.line.name
        for cue, later in zip(cues, cues[1:], strict=False)
        if later.start < cue.end
    ]
    assert overlaps == ['interruption']
    stop = schedule().interruption
    assert stop is not None and stop.line.speaker == 'user'
    story = cues[cues.index(stop) - 1]
    assert story.line.speaker == 'robot' and story.start + 3 < stop.start < story.end - 3


def test_the_conversation_takes_some_forty_seconds_and_ends_in_silence():
    conversation = schedule()
    assert 35 < conversation.seconds < 50
    assert conversation.seconds - conversation.cues[-1].end >= 4


def test_the_track_holds_every_line_of_the_user_at_its_time_and_silence_between():
    conversation = schedule()
    track = conversation.user_track()
    assert len(track) == round(conversation.seconds * RATE)
    left = track.copy()
    for cue in conversation.of('user'):
        first = round(cue.start * RATE)
        np.testing.assert_array_equal(
            track[first : first + len(cue.line.samples)], cue.line.samples
        )
        left[first : first + len(cue.line.samples)] = 0
    assert not left.any()


def test_a_shorter_conversation_ends_in_the_midst():
    conversation = schedule(seconds=4.0)
    assert [cue.line.name for cue in conversation.cues] == ['greeting']
    assert len(conversation.user_track()) == 4 * RATE
    assert conversation.interruption is None


def test_a_longer_conversation_is_one_of_interruptions_in_many_places():
    ten = schedule(prolonged(600.0), 600.0)
    assert ten.seconds == 600.0
    stops = [cue for cue in ten.cues if cue.line.interrupts]
    assert len(stops) > 50
    depths = []
    for stop in stops:
        before = ten.cues[ten.cues.index(stop) - 1]
        assert (before.line.speaker, stop.line.speaker) == ('robot', 'user')
        assert before.start + 1 < stop.start < before.end - 1
        depths.append(round(stop.start - before.start, 1))
    assert len(set(depths)) > 20
    assert [cue.line for cue in ten.cues[: len(LINES)]] == list(LINES)


def test_too_short_a_conversation_is_refused():
    with pytest.raises(ValueError, match='2 s are too short: nobody speaks before 2.5 s'):
        schedule(seconds=2.0)


def test_the_speech_files_are_small_and_all_used():
    assert {path.stem for path in SPEECH.iterdir()} == {line.name for line in LINES}
    assert sum(path.stat().st_size for path in SPEECH.iterdir()) < 1_000_000


@pytest.mark.parametrize('line', LINES, ids=lambda line: line.name)
def test_a_line_sounds_from_its_first_moment_as_its_text_is_spoken(line: Line, speak):
    level = np.abs(line.samples.astype(np.int32))
    loud = np.flatnonzero(level > 0.02 * level.max())
    assert 10000 < level.max() < 32767 and loud[0] < 0.02 * RATE
    # The same words by the same voice, however the installed espeak-ng differs in detail.
    assert len(spoken(line)) == pytest.approx(len(line.samples), rel=0.1)


def test_user_and_robot_are_told_apart_by_ear():
    def pitch(speaker: str) -> float:
        samples = np.concatenate([line.samples for line in LINES if line.speaker == speaker])
        found = []
        for start in range(0, len(samples) - 1024, 1024):
            part = samples[start : start + 1024] / 32768
            if np.sqrt(np.mean(part**2)) > 0.05:
                like = np.correlate(part, part, 'full')[1023:]
                found.append(RATE / (50 + np.argmax(like[50:230])))
        return float(np.median(found))

    assert VOICES['user'] != VOICES['robot']
    assert pitch('user') > 1.3 * pitch('robot')
