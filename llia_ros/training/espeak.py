"""The espeak-ng library: text to samples, and the moment at which each phone begins."""

import ctypes
import ctypes.util
import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NAMES = ('libespeak-ng.so.1', 'libespeak-ng.so', 'libespeak-ng.1.dylib', 'libespeak-ng.dll')
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _DONT_EXIT = 2, 1, 2, 0x8000
_UTF8, _PHONEME = 1, 7
_WORDS_A_MINUTE, _PITCH = 1, 3


class SpeechError(ValueError):
    """Speech could not be made; the message says why and what to do."""


class _Id(ctypes.Union):
    _fields_ = [('number', ctypes.c_int), ('name', ctypes.c_char_p), ('string', ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ('type', ctypes.c_int),
        ('unique', ctypes.c_uint),
        ('text_position', ctypes.c_int),
        ('length', ctypes.c_int),
        ('audio_position', ctypes.c_int),
        ('sample', ctypes.c_int),
        ('user', ctypes.c_void_p),
        ('id', _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Synthesizer:
    """The library, which knows one voice and one text at a time for a whole process."""

    def __init__(self, data: Path | None = None) -> None:
        self._library = _load()
        flags = _PHONEME_EVENTS | _IPA | _DONT_EXIT
        path = None if data is None else str(data).encode()
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, flags))
        if self.rate <= 0:
            raise SpeechError(
                'espeak-ng finds no voice data: install it with apt-get install espeak-ng'
            )
        self._samples: list[NDArray[np.int16]] = []
        self._marks: list[tuple[float, str]] = []
        self._callback = _CALLBACK(self._receive)  # Kept alive here: the library does not.
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(
        self,
        samples: 'ctypes._Pointer[ctypes.c_short]',
        count: int,
        events: 'ctypes._Pointer[_Event]',
    ) -> int:
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                # The eight bytes may lack a final zero and may cut a letter.
                symbol = bytes(event.id.string).decode('utf-8', 'ignore')
                self._marks.append((event.audio_position / 1000.0, symbol))
            index += 1
        return 0

    @property
    def data(self) -> Path:
        """Folder of the library's voices and rules."""
        path = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(path))
        return Path((path.value or b'').decode())

    def speak(
        self, text: str, voice: str, rate: int, pitch: int
    ) -> tuple[NDArray[np.int16], list[tuple[float, str]]]:
        """Return samples at `self.rate` and the start of every phone in seconds."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechError(f'espeak-ng has no voice {voice!r}: see espeak-ng --voices')
        self._library.espeak_SetParameter(_WORDS_A_MINUTE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._samples, self._marks = [], []
        data = text.encode() + b'\0'
        if self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None) != 0:
            raise SpeechError(f'espeak-ng could not speak {text!r}')
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return samples, self._marks


def _load() -> ctypes.CDLL:
    found = ctypes.util.find_library('espeak-ng')
    for name in ((found,) if found else ()) + _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise SpeechError(
        'the library libespeak-ng is missing: install it with apt-get install espeak-ng'
    )


_lock = threading.Lock()
_synthesizer: _Synthesizer | None = None


def _after_fork() -> None:
    # Another thread of the parent may have held the lock; it does not exist here.
    global _lock
    _lock = threading.Lock()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)


def data_folder() -> Path:
    """Return the folder of espeak-ng's voices; SpeechError where the library is missing."""
    global _synthesizer
    with _lock:
        _synthesizer = _synthesizer or _Synthesizer()
        return _synthesizer.data


def use_data(folder: Path) -> None:
    """Take voices from `folder` / espeak-ng-data; SpeechError once this process has spoken."""
    global _synthesizer
    with _lock:
        if _synthesizer is not None:
            raise SpeechError('espeak-ng cannot change its voices any more: use a fresh process')
        _synthesizer = _Synthesizer(folder)


def synthesize(
    text: str, voice: str, rate: int, pitch: int
) -> tuple[NDArray[np.int16], int, list[tuple[float, str]]]:
    """Return samples, their rate, and the start in seconds and the symbol of every phone.

    `rate` in words a minute (80 .. 450), `pitch` 0 .. 100. Safe to call from several threads and
    in forked processes. Raises SpeechError where the library or the voice is missing.
    """
    global _synthesizer
    with _lock:
        _synthesizer = _synthesizer or _Synthesizer()
        samples, marks = _synthesizer.speak(text, voice, rate, pitch)
        return samples, _synthesizer.rate, marks
