"""A recording, judged by what a player finds in its file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from synthetic_face import SAMPLES, jpeg, tone

from llia_ros.display.recorder import Recorder, RecordingError, decode_jpeg

COLOUR = (200, 60, 30)


def flat(colour: tuple[int, int, int] = COLOUR, size: tuple[int, int] = (128, 128)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        assert float(file.streams.video[0].average_rate) == 25
        return [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]


def sound(path: Path) -> np.ndarray:
    """The sound track, float at 48 kHz."""
    with av.open(str(path)) as file:
        blocks = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
        assert file.streams.audio[0].rate == 48000
    return np.concatenate(blocks)


def lengths(path: Path) -> tuple[float, float]:
    """Seconds of picture and of sound, as the file declares them."""
    with av.open(str(path)) as file:
        tracks = file.streams.video[0], file.streams.audio[0]
        assert all(track.start_time == 0 for track in tracks)
        video, audio = (float(track.duration * track.time_base) for track in tracks)
    return video, audio


@pytest.mark.parametrize('frames', [1, 2, 53, 100])
def test_sound_and_picture_are_equally_long(tmp_path, frames):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        for k in range(frames):
            recorder.write(flat(), tone(k))
    video, audio = lengths(path)
    assert video == pytest.approx(frames / 25, abs=1e-6)
    assert abs(video - audio) <= 0.04
    assert len(pictures(path)) == frames
    assert abs(len(sound(path)) / 48000 - frames / 25) <= 0.04


def test_colour_and_tone_survive_at_their_time(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        for k in range(50):
            speaks = 20 <= k < 30
            recorder.write(flat() if speaks else flat((20, 40, 90)), tone(k) if speaks else None)
    shown = pictures(path)
    assert np.abs(shown[25].mean(axis=(0, 1)) - COLOUR).max() < 8
    assert np.abs(shown[35].mean(axis=(0, 1)) - (20, 40, 90)).max() < 8
    heard = sound(path)
    loud = np.flatnonzero(np.abs(heard) > 0.1) / 48000
    assert abs(loud[0] - 20 / 25) < 0.01 and abs(loud[-1] - 30 / 25) < 0.01
    middle = heard[round(48000 * 0.85) : round(48000 * 1.15)]
    strongest = np.argmax(np.abs(np.fft.rfft(middle))) / 0.3
    assert strongest == pytest.approx(440, abs=4)


def test_missing_frames_are_repeated_so_that_sound_stays_with_its_picture(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        for k in range(100, 140):
            if k in (110, 111, 112):
                continue
            recorder.write(flat() if k < 120 else flat((20, 40, 200)), tone(k), index=k)
        assert (recorder.frames, recorder.repeated, recorder.late) == (40, 3, 0)
    shown = pictures(path)
    assert len(shown) == 40
    assert shown[12][60, 60, 0] > 150 and shown[19][60, 60, 0] > 150 > shown[21][60, 60, 0]


def test_a_frame_without_picture_keeps_its_sound(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        recorder.write(None, tone(0))
        recorder.write(flat())
        for k in range(24):
            recorder.write(None, tone(k))
    assert len(pictures(path)) == 25
    assert np.abs(sound(path)).max() > 0.2


def test_a_late_frame_is_counted_and_left_out(tmp_path):
    with Recorder(tmp_path / 'face.mp4') as recorder:
        for k in (5, 6, 7, 6, 8):
            recorder.write(flat(), tone(k), index=k)
        assert (recorder.frames, recorder.late) == (4, 1)


def test_a_gap_that_is_too_long_does_not_fill_the_disk(tmp_path):
    with Recorder(tmp_path / 'face.mp4', longest_gap=1.0) as recorder:
        for k in (0, 1, 1_000_000, 1_000_001):
            recorder.write(flat(), tone(k), index=k)
        assert recorder.frames == 4


def test_encoded_pictures_are_taken_too(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        for _ in range(5):
            recorder.write(jpeg(COLOUR, (0, 0, 0)))
    assert np.abs(pictures(path)[2][128, 128].astype(int) - COLOUR).max() < 10


def test_odd_sides_are_recorded_a_pixel_smaller(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        recorder.write(flat(size=(129, 127)))
    assert pictures(path)[0].shape == (128, 126, 3)


@pytest.mark.parametrize('where', ['nowhere/face.mp4', '.'])
def test_a_path_that_cannot_be_written_is_named_at_once(tmp_path, where):
    with pytest.raises(RecordingError, match=r"cannot write '.*': .*; choose a file"):
        Recorder(tmp_path / where)


def test_a_full_disk_ends_the_recording_with_one_line():
    recorder = Recorder('/dev/full')
    with pytest.raises(RecordingError, match="cannot go on writing '/dev/full': No space left"):
        for _ in range(200):
            recorder.write(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    recorder.close()
    with pytest.raises(RecordingError, match='no longer open'):
        recorder.write(flat())


def test_an_empty_recording_leaves_no_broken_file(tmp_path):
    path = tmp_path / 'face.mp4'
    Recorder(path).close()
    assert not path.exists()


@pytest.mark.parametrize(
    'image', [b'', b'no picture', np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)]
)
def test_what_is_no_picture_is_refused_and_the_recording_goes_on(tmp_path, image):
    with Recorder(tmp_path / 'face.mp4') as recorder:
        recorder.write(flat())
        with pytest.raises(RecordingError, match='pictures?'):
            recorder.write(image)
        recorder.write(flat())
        assert recorder.frames == 2


def test_sound_longer_than_its_frame_is_refused(tmp_path):
    with Recorder(tmp_path / 'face.mp4') as recorder:
        with pytest.raises(RecordingError, match='at most 640 samples of int16'):
            recorder.write(flat(), np.zeros(SAMPLES + 1, np.int16))


def test_a_jpeg_is_read_as_rgb():
    assert np.abs(decode_jpeg(jpeg(COLOUR, (0, 0, 0)))[128, 128].astype(int) - COLOUR).max() < 8


def test_frames_may_carry_as_many_samples_as_their_model_gives_them(tmp_path):
    path = tmp_path / 'face.mp4'
    with Recorder(path) as recorder:
        recorder.carry(667)
        for _ in range(48):
            recorder.write(flat(), np.full(667, 1000, np.int16))
        recorder.carry(640)  # too late
        assert recorder.seconds == pytest.approx(48 * 667 / 16000)
    video, audio = lengths(path)
    assert video == pytest.approx(48 * 667 / 16000, abs=1e-4)
    assert abs(video - audio) <= 0.05
