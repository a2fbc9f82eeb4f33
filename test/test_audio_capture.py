"""The real audio_capture process: files at the pace of speech, and a sound card without losses."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Probe, Start, write_sound
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, Int16MultiArray, String

from llia_ros.audio.stream import RATE, SECOND
from llia_ros.nodes import messages
from llia_ros.nodes.messages import AUDIO_QOS, LATCHED_QOS, Audio

NOISE = np.random.default_rng(1).integers(-20000, 20000, 24100).astype(np.int16)


def heard_sound(heard: list) -> tuple[list[Audio], np.ndarray]:
    sounds = [messages.read_audio(message) for _, message in heard]
    return sounds, np.concatenate([np.zeros(0, np.int16), *(s.samples[:, 0] for s in sounds)])


def test_a_file_comes_whole_in_order_at_the_pace_of_speech(
    start: Start, probe: Probe, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / 'noise.wav', NOISE)
    heard = probe.hear(Int16MultiArray, 'robot/audio', AUDIO_QOS)
    start(
        'audio_capture',
        source='file',
        file=str(path),
        end_of_utterance=True,
        frame='voice',
        remap={'user/audio': 'robot/audio'},
    )
    probe.until(lambda: heard and not len(heard[-1][1].data))
    sounds, samples = heard_sound(heard)
    assert np.array_equal(samples, NOISE)
    assert {len(sound.samples) for sound in sounds[:-2]} == {320}
    assert {(sound.rate, sound.frame) for sound in sounds} == {(RATE, 'voice')}
    steps = np.diff([sound.stamp for sound in sounds[:-1]])
    assert np.abs(np.mean(steps) - SECOND / 50) < SECOND / 1000
    # Nobody hears the end before it was said.
    assert heard[-1][0] - heard[0][0] >= len(NOISE) / RATE - 0.1


def test_a_file_can_be_looped_and_waits_for_listeners(
    start: Start, probe: Probe, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / 'noise.wav', NOISE[:3200])
    start('audio_capture', source='file', file=str(path), loop=True, wait_for_subscribers=2)
    first = probe.hear(Int16MultiArray, 'user/audio', AUDIO_QOS)
    probe.spin(1.5)
    assert not first
    second = probe.hear(Int16MultiArray, 'user/audio', AUDIO_QOS)
    probe.until(lambda: len(second) > 30)
    _, samples = heard_sound(first)
    assert np.array_equal(samples[:3200], NOISE[:3200])
    assert np.array_equal(samples[3200:6400], NOISE[:3200])


def test_what_cannot_be_captured_fails_with_one_line(start: Start, tmp_path: Path) -> None:
    text = tmp_path / 'text.wav'
    text.write_text('no sound')
    nowhere = {'PULSE_SERVER': 'unix:/nowhere', 'XDG_RUNTIME_DIR': str(tmp_path)}
    for parameters, said in [
        ({'source': 'file'}, "sound file '' does not exist"),
        ({'source': 'file', 'file': str(text)}, 'not a readable sound file'),
        ({'device': 'no such card'}, 'no sound input device'),
    ]:
        process = start('audio_capture', env=nowhere, **parameters)
        assert process.wait() == 1
        ours = [line for line in process.output.splitlines() if 'audio_capture]' in line]
        assert len(ours) == 1 and said in ours[0]


def test_a_sound_played_into_pulseaudio_is_captured_bit_exact_and_listened_to(
    start: Start, probe: Probe, pulse: dict[str, str], sentence: np.ndarray, tmp_path: Path
) -> None:
    silence = np.zeros(RATE // 2, np.int16)
    played = np.concatenate([silence, sentence])
    path = write_sound(tmp_path / 'user.wav', played)
    heard = probe.hear(Int16MultiArray, 'user/audio', AUDIO_QOS)
    states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
    speaking = probe.hear(Bool, 'user/is_speaking', LATCHED_QOS)
    status = probe.hear(DiagnosticArray, '/diagnostics')
    start('dialogue_state')
    start('audio_capture', device='pulse:vmic.monitor', env=pulse)
    probe.until(lambda: len(heard) > 25 and states)
    command = ['paplay', '--device=vmic', str(path)]
    with subprocess.Popen(command, env={**os.environ, **pulse}) as player:
        probe.until(lambda: player.poll() is not None)
    probe.spin(0.5)

    sounds, samples = heard_sound(heard)
    assert {(sound.rate, len(sound.samples), sound.frame) for sound in sounds} == {
        (RATE, 320, 'mic')
    }
    begin = np.flatnonzero(samples)[0] - np.flatnonzero(played)[0]
    assert np.array_equal(samples[begin : begin + len(played)], played)

    steps = np.diff([sound.stamp for sound in sounds])
    assert np.all(steps > 0)
    assert abs(np.median(steps) - SECOND / 50) < SECOND / 2000
    probe.until(lambda: 'listening' in [message.data for _, message in states])
    assert True in [message.data for _, message in speaking]

    capture = [
        told
        for _, message in status
        for told in messages.read_diagnostics(message)
        if told.name == '/audio_capture'
    ][-1]
    assert (capture.values['xruns'], capture.values['queue drops']) == ('0', '0')


def test_a_pulseaudio_source_that_is_not_there_is_named(
    start: Start, pulse: dict[str, str]
) -> None:
    process = start('audio_capture', device='pulse:nothing', env=pulse)
    assert process.wait() == 1
    assert 'nothing' in process.output.splitlines()[-1]


@pytest.mark.parametrize('chunk_ms', [10, 40])
def test_chunks_have_the_length_that_was_asked_for(
    start: Start, probe: Probe, tmp_path: Path, chunk_ms: int
) -> None:
    path = write_sound(tmp_path / 'noise.wav', NOISE)
    heard = probe.hear(Int16MultiArray, 'user/audio', AUDIO_QOS)
    start('audio_capture', source='file', file=str(path), chunk_ms=chunk_ms)
    probe.until(lambda: len(heard) > 3)
    assert {len(message.data) for _, message in heard[:3]} == {RATE * chunk_ms // 1000}
