"""Sound files: any kind becomes 16 kHz mono, and what is none is named."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llia_ros.audio import files
from llia_ros.audio.files import SoundFileError

NOISE = np.random.default_rng(1).integers(-32768, 32768, 4000, np.int16)


def tone(rate: int, seconds: float = 0.5, pitch: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize('suffix', ['wav', 'flac'])
def test_16_khz_mono_is_bit_exact(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'x.{suffix}'
    soundfile.write(path, NOISE, 16000, subtype='PCM_16')
    got = files.read(path)
    assert got.dtype == np.int16
    assert np.array_equal(got, NOISE)


@pytest.mark.parametrize(
    ('rate', 'channels', 'suffix', 'subtype'),
    [
        (8000, 1, 'wav', 'PCM_U8'),
        (22050, 1, 'wav', 'PCM_16'),
        (44100, 2, 'flac', 'PCM_24'),
        (48000, 6, 'wav', 'FLOAT'),
        (96000, 2, 'wav', 'DOUBLE'),
        (44100, 2, 'ogg', 'VORBIS'),
        (8000, 1, 'wav', 'ULAW'),
    ],
)
def test_every_rate_and_channel_count_keeps_its_tone(
    tmp_path: Path, rate, channels, suffix, subtype
) -> None:
    path = tmp_path / f'x.{suffix}'
    soundfile.write(path, np.repeat(tone(rate)[:, None], channels, 1), rate, subtype=subtype)
    got = files.read(path) / 32768
    assert abs(len(got) - 8000) <= 2
    middle = slice(1000, 7000)
    assert np.corrcoef(got[middle], tone(16000)[middle])[0, 1] > 0.99
    assert abs(np.abs(got[middle]).max() - 0.5) < 0.03


def test_sound_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    path = tmp_path / 'loud.wav'
    soundfile.write(path, np.array([2.0, -2.0, 0.0]), 16000, subtype='FLOAT')
    assert files.read(path).tolist() == [32767, -32768, 0]


def test_what_is_no_sound_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / 'text.wav').write_text('no sound')
    (tmp_path / 'empty.wav').write_bytes(b'')
    soundfile.write(tmp_path / 'whole.wav', NOISE, 16000)
    cut = (tmp_path / 'whole.wav').read_bytes()[:20]
    (tmp_path / 'cut.wav').write_bytes(cut)
    soundfile.write(tmp_path / 'silent.wav', NOISE[:0], 16000)
    header = bytearray((tmp_path / 'whole.wav').read_bytes())
    header[22:24] = b'\0\0'
    (tmp_path / 'channels.wav').write_bytes(header)
    soundfile.write(tmp_path / 'nan.wav', np.array([0.0, np.nan]), 16000, subtype='FLOAT')
    for name, said in [
        ('nothing.wav', 'does not exist'),
        ('', 'folder'),
        ('text.wav', 'not a readable sound file'),
        ('empty.wav', 'not a readable sound file'),
        ('cut.wav', 'not a readable sound file'),
        ('channels.wav', 'not a readable sound file'),
        ('silent.wav', 'no samples'),
        ('nan.wav', 'no numbers'),
    ]:
        with pytest.raises(SoundFileError, match=said) as refused:
            files.read(tmp_path / name)
        assert '\n' not in str(refused.value)
        assert str(tmp_path / name) in str(refused.value)
    with pytest.raises(SoundFileError, match="''"):
        files.read('')


def test_a_file_is_played_in_order_and_never_ahead_of_time() -> None:
    got: list[np.ndarray] = []
    ahead: list[float] = []
    begun = time.monotonic()

    def emit(samples: np.ndarray, age: float) -> None:
        got.append(samples)
        # The last sample of a chunk is not there before its time, and `age` tells the first's.
        ahead.append(sum(map(len, got)) / 16000 - (time.monotonic() - begun))
        assert age >= len(samples) / 16000 - 1e-9

    end = files.play(NOISE, 320, emit, threading.Event(), begun)
    assert np.array_equal(np.concatenate(got), NOISE)
    assert max(ahead) <= 1e-3
    assert end == pytest.approx(begun + 0.25)


def test_playing_can_be_stopped() -> None:
    stopped = threading.Event()
    got: list[int] = []

    def emit(samples: np.ndarray, age: float) -> None:
        got.append(len(samples))
        if len(got) == 3:
            stopped.set()

    files.play(NOISE, 320, emit, stopped)
    assert got == [320, 320, 320]
