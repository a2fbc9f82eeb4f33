"""Speech for training: phones in time with the sound, and mouths that follow the phones."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llia_ros.model.config import MOUTH
from llia_ros.training import espeak
from llia_ros.training.augment import augment, non_speech
from llia_ros.training.speech import (
    TRAIN_TEXTS,
    TRAIN_VOICES,
    UNSEEN_TEXTS,
    UNSEEN_VOICES,
    SpeechError,
    Utterance,
    language,
    random_utterance,
    speak,
)
from llia_ros.training.visemes import (
    CLASSES,
    Phone,
    letters,
    mouth_track,
    phone_class,
    unknown_letters,
    visemes,
)

OPEN, WIDE, ROUND, TEETH, TONGUE = range(5)

ECHOING = [
    v for v in TRAIN_VOICES + UNSEEN_VOICES if v.endswith(('f2', 'f3', 'f4', 'f5', 'm2', 'Alicia'))
]


def texts_of(voice: str) -> tuple[str, ...]:
    name = language(voice)
    return tuple(TRAIN_TEXTS.get(name, ())) + tuple(UNSEEN_TEXTS.get(name, ()))


@pytest.fixture(scope='module')
def spoken() -> list[Utterance]:
    """One utterance of every voice, with all sentences of one in each language."""
    first = {language(voice): voice for voice in reversed(TRAIN_VOICES + UNSEEN_VOICES)}
    result = [
        speak(texts_of(voice)[1 if language(voice) == 'en' else 0], voice)
        for voice in TRAIN_VOICES + UNSEEN_VOICES
    ]
    return result + [speak(text, voice) for voice in first.values() for text in texts_of(voice)]


def at(track: np.ndarray, phone: Phone, fps: float = 25) -> np.ndarray:
    """Return the frame that holds the phone's centre."""
    return track[int((phone.start + phone.end) / 2 * fps)]


def same_phones(a: Utterance, b: Utterance) -> bool:
    """Compare sounds and, within 20 ms, how long they last."""
    first, second = ([p for p in u.phones if p.symbol] for u in (a, b))
    return [p.symbol for p in first] == [p.symbol for p in second] and bool(
        np.allclose([p.end - p.start for p in first], [p.end - p.start for p in second], atol=0.02)
    )


def test_order_of_the_mouth_is_the_models():
    assert MOUTH == ('open', 'wide', 'round', 'teeth', 'tongue')


def test_voices_and_texts_held_out_are_never_trained_on():
    assert not set(TRAIN_VOICES) & set(UNSEEN_VOICES)
    variants = {voice.partition('+')[2] for voice in TRAIN_VOICES}
    for voice in UNSEEN_VOICES:
        assert voice.partition('+')[2] not in variants - {''} or language(voice) not in TRAIN_TEXTS
        assert language(voice) in UNSEEN_TEXTS
    assert {language(v) for v in UNSEEN_VOICES} - {language(v) for v in TRAIN_VOICES}
    assert {language(v) for v in TRAIN_VOICES} == set(TRAIN_TEXTS)
    for name, sentences in UNSEEN_TEXTS.items():
        assert not set(sentences) & set(TRAIN_TEXTS.get(name, ()))
    assert all(len(set(sentences)) >= 14 for sentences in TRAIN_TEXTS.values())


def test_phones_follow_one_another_and_cover_the_sound(spoken):
    for u in spoken:
        assert u.phones[0].start == 0.0
        assert u.phones[-1].end == pytest.approx(u.seconds, abs=1e-9)
        assert all(p.start < p.end for p in u.phones)
        assert all(
            a.end == pytest.approx(b.start, abs=1e-9)
            for a, b in zip(u.phones, u.phones[1:], strict=False)
        )
        assert u.samples.dtype == np.int16


def test_every_symbol_that_occurs_has_a_known_mouth(spoken):
    symbols = {phone.symbol for u in spoken for phone in u.phones}
    assert len(symbols) > 80
    assert {s for s in symbols if unknown_letters(s)} == set()
    assert {phone_class(s) for s in symbols} == set(CLASSES)


def test_an_unknown_symbol_is_reported_and_still_moves_the_mouth():
    assert unknown_letters('ᴇː') == 'ᴇ'
    assert phone_class('ᴇː') == 'vowel mid'
    assert phone_class('\u4e00') == 'velar'


def test_marks_do_not_change_a_sound():
    assert letters('t͡ʃʰ') == 'tʃ'
    assert letters('ˈɑ̃ː') == 'ɑ'
    assert visemes('(en)') == visemes('')
    assert [v.kind for v in visemes('aʊ')] == ['vowel open', 'vowel rounded']


def test_phones_are_in_time_with_the_sound(spoken):
    """Sound begins and ends within 20 ms of where the phones say so, its tail within 40.

    Once in a hundred times the library marks a sound as silence, depending on what it said before.
    """
    wrong, marks = [], 0
    for u in spoken:
        level = np.abs(u.samples.astype(np.int32))
        for previous, phone in zip((Phone('', 0, 0), *u.phones), u.phones, strict=False):
            low, high = int(phone.start * 16000), int(phone.end * 16000)
            # A voice's echo outlasts its sound.
            if not phone.symbol and high - low > 640 and u.voice not in ECHOING:
                marks += 1
                early = level[low + 320 : high - 320].max(initial=0)
                late = level[low + 640 : high - 320].max(initial=0)
                if early >= 1000 or late >= 100:
                    wrong.append((u.voice, u.text, phone))
            if phone.symbol and not previous.symbol:
                marks += 1
                onset = low + int(np.argmax(level[low:high] > 300))
                if onset - low >= 320:
                    wrong.append((u.voice, u.text, phone))
    assert marks > 100
    assert len(wrong) <= 0.01 * marks, wrong


@pytest.mark.parametrize(
    ('text', 'voice', 'expected'),
    [('Buenos días.', 'es', 'ija'), ('piecze', 'pl', 'pjɛ'), ('prepara', 'it', 'pər')],
)
def test_sounds_that_the_library_does_not_name_are_named(text, voice, expected):
    assert expected in ''.join(p.symbol for p in speak(text, voice).phones)


def test_a_plosive_begins_with_its_silent_closure():
    u = speak('A happy puppet.', 'en-us')
    plosives = [p for p in u.phones[2:] if p.symbol == 'p']
    assert plosives
    for p in plosives:
        assert p.end - p.start > 0.05
        start = int(p.start * 16000) + 80
        assert np.abs(u.samples[start : start + 160].astype(int)).max() < 100


@pytest.mark.parametrize('variant', ['f2', 'f3', 'f4', 'f5', 'm2', 'Alicia'])
def test_an_echo_does_not_hide_a_closure(variant):
    text = 'A happy puppet put it back. Papa took a potato.'
    plain, echoing = (
        [p for p in speak(text, voice).phones if p.symbol in ('p', 't', 'k')]
        for voice in ('en-us', f'en-us+{variant}')
    )
    assert len(plain) == len(echoing) > 8
    durations = [[p.end - p.start for p in phones] for phones in (plain, echoing)]
    assert np.abs(np.diff(durations, axis=0)).max() < 0.045
    assert np.median(np.abs(np.diff(durations, axis=0))) < 0.012


@pytest.mark.parametrize(
    ('voice', 'rate'),
    [('en-us', 120), ('en-us+f3', 165), ('en-gb-x-rp', 220), ('de+m2', 200), ('ro', 150)],
)
def test_lips_shut_for_m_p_b_and_open_for_a(voice, rate):
    u = speak('Mama, papa, baba.', voice, rate).padded(0.2, 0.2)
    track = u.mouth()
    bilabials = [p for p in u.phones if phone_class(p.symbol) == 'bilabial']
    assert len(bilabials) == 6
    for p in bilabials:
        # The last 28 ms of a consonant's phone already sound like the next vowel.
        assert at(track, Phone(p.symbol, p.start, p.end - 0.028))[OPEN] < 0.05, p
    vowels = [p for p in u.phones if p.symbol in ('ɑː', 'a', 'ɑ', 'aː')]
    assert len(vowels) >= 2
    peaks = [track[int(p.start * 25) : int(p.end * 25) + 1, OPEN].max() for p in vowels]
    assert max(peaks) > 0.7
    assert min(peaks) > 0.4


def test_lips_round_for_oo_and_spread_for_ee():
    track = speak('boo', 'en-us').mouth(), speak('bee', 'en-us').mouth()
    assert track[0][:, ROUND].max() > 0.9
    assert track[0][:, WIDE].max() < 0.3
    assert track[1][:, WIDE].max() > 0.8
    assert track[1][:, ROUND].max() < 0.1


def test_teeth_show_for_s_and_the_tongue_for_th_and_l():
    assert mouth_track([Phone('s', 0.1, 0.3)], 0.4)[:, TEETH].max() > 0.8
    assert mouth_track([Phone('θ', 0.1, 0.3)], 0.4)[:, TONGUE].max() > 0.9
    u = speak('see', 'en-us')
    assert at(u.mouth(), next(p for p in u.phones if p.symbol == 's'))[OPEN] < 0.3


@pytest.mark.parametrize('word', ['Hello.', 'Help you.', 'Bella.', 'Yellow bell.'])
def test_an_l_that_is_drawn_as_the_end_of_a_vowel_has_its_time_and_the_tongue(word):
    u = speak(word, 'en-gb-x-rp')
    track = u.mouth()
    liquids = [p for p in u.phones if p.symbol == 'l']
    assert liquids
    for p in liquids:
        assert p.end - p.start > 0.02
        assert at(track, p)[TONGUE] > 0.3


def test_a_diphthong_goes_from_one_mouth_to_the_other():
    track = mouth_track([Phone('aʊ', 0.2, 0.5)], 0.8, 100)
    assert track[26, OPEN] > 0.8 > 0.4 > track[47, OPEN]
    assert track[47, ROUND] > 0.6 > 0.1 > track[26, ROUND]


def test_the_mouth_of_silence_is_exactly_at_rest():
    assert not mouth_track([], 1.0).any()
    assert not mouth_track([Phone('', 0.0, 1.0)], 1.0).any()
    track = mouth_track([Phone('a', 1.0, 1.4)], 3.0, 100)
    assert not track[:94].any(), 'lips part more than 60 ms before the sound'
    assert track[98:140, OPEN].all()
    assert not track[156:].any(), 'lips move more than 150 ms after the sound'


def test_lips_foresee_no_more_than_the_model_hears():
    """A change of a later phone must not move a frame that ends 60 ms before it."""

    def track(symbol: str) -> np.ndarray:
        return mouth_track([Phone('e', 0.1, 0.5), Phone(symbol, 0.5, 0.8)], 1.0, 200)

    for symbol in ('m', 'u', 's', 'a'):
        moved = np.abs(track(symbol) - track('e')).max(axis=1)
        assert moved[: int(0.4 * 200)].max() < 0.02
        assert moved[int(0.46 * 200)] < 0.5


def test_a_mouth_lies_within_its_range_and_moves_smoothly(spoken):
    for u in spoken[:60]:
        track = u.mouth(200)
        assert track.min() >= 0.0
        assert track.max() <= 1.0
        assert np.abs(np.diff(track, axis=0)).max() < 0.25


def test_a_frame_is_the_average_over_its_own_time():
    u = speak('Hello, how can I help you today?').padded(0.1, 0.33)
    fine, frames = u.mouth(200), u.mouth(25)
    assert len(frames) == -(-len(u.samples) // 640)
    whole = len(fine) // 8
    np.testing.assert_allclose(
        fine[: whole * 8].reshape(whole, 8, 5).mean(axis=1), frames[:whole], atol=1e-6
    )


def test_mouths_refuse_a_negative_duration():
    with pytest.raises(ValueError, match='positive'):
        mouth_track([], -1.0)


def test_padding_moves_sound_and_phones_together():
    u = speak('Papa.')
    padded = u.padded(0.5, 0.25)
    assert padded.seconds == pytest.approx(u.seconds + 0.75)
    np.testing.assert_array_equal(padded.samples[8000:-4000], u.samples)
    np.testing.assert_array_equal(
        padded.mouth(100)[50 : 50 + 10],
        mouth_track([Phone(p.symbol, p.start + 0.5, p.end + 0.5) for p in u.phones], 2.0, 100)[
            50:60
        ],
    )


def test_random_utterances_are_whole_frames_and_the_same_for_a_seed():
    def make(seed: int) -> list[Utterance]:
        rng = np.random.default_rng(seed)
        return [random_utterance(rng) for _ in range(6)]

    first, again, other = make(3), make(3), make(4)
    assert [u.text for u in first] != [u.text for u in other]
    for a, b in zip(first, again, strict=True):
        assert (a.voice, a.text) == (b.voice, b.text)
        assert same_phones(a, b)
        assert len(a.samples) % 640 == 0
        assert len(a.mouth()) == len(a.samples) // 640
        assert a.voice in TRAIN_VOICES


def _seeded() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [random_utterance(rng).samples for _ in range(6)]


def test_fresh_processes_make_the_same_sound_to_the_bit():
    """Within a process the library's noise and flutter go on from one text to the next."""
    made = []
    for _ in range(2):
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            made.append(pool.apply(_seeded))
    for a, b in zip(*made, strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_utterances_of_unseen_voices_speak_unseen_texts():
    rng = np.random.default_rng(0)
    for _ in range(8):
        u = random_utterance(rng, UNSEEN_VOICES, UNSEEN_TEXTS)
        assert u.voice in UNSEEN_VOICES
        assert any(text in u.text for text in UNSEEN_TEXTS[language(u.voice)])
    with pytest.raises(SpeechError, match='no texts'):
        random_utterance(rng, ('ro',), TRAIN_TEXTS)


def test_an_unknown_voice_is_named():
    with pytest.raises(SpeechError, match='tlh-nowhere'):
        speak('Hello.', 'tlh-nowhere')


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr(espeak, '_NAMES', ('libnothing-of-the-kind.so',))
    monkeypatch.setattr(espeak.ctypes.util, 'find_library', lambda name: None)
    with pytest.raises(SpeechError, match='apt-get install espeak-ng'):
        espeak._load()


def _banana(voice: str) -> Utterance:
    return speak('Banana.', voice)


def test_threads_may_speak_at_once():
    voices = ['en-us', 'de+m2', 'fr', 'it+f3'] * 8
    alone = {voice: _banana(voice) for voice in voices}
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(_banana, voices))
    for voice, u in zip(voices, together, strict=True):
        assert same_phones(u, alone[voice])


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_worker_processes_speak_the_same(method):
    expected = _banana('de+m2')
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert same_phones(pool.apply(_banana, ('de+m2',)), expected)


def test_augmented_sound_keeps_its_length_and_its_time():
    samples = speak('My mother put a big brown pan on the table.').samples
    size = 1 << 18
    clean = np.conj(np.fft.rfft(samples.astype(float), size))
    changed = 0
    for seed in range(40):
        result = augment(samples, np.random.default_rng(seed))
        assert result.dtype == np.int16
        assert result.shape == samples.shape
        np.testing.assert_array_equal(result, augment(samples, np.random.default_rng(seed)))
        likeness = np.fft.irfft(clean * np.fft.rfft(result.astype(float), size), size)
        assert int(likeness.argmax()) == 0
        changed += bool((result != samples).any())
    assert changed == 40


def test_augmenting_refuses_other_sound_and_takes_none():
    rng = np.random.default_rng(0)
    assert len(augment(np.zeros(0, np.int16), rng)) == 0
    with pytest.raises(ValueError, match='int16'):
        augment(np.zeros(100, np.float32), rng)


def test_sounds_that_are_no_speech_have_their_length_and_differ():
    levels = []
    for seed in range(30):
        sound = non_speech(np.random.default_rng(seed), 1.37)
        assert sound.dtype == np.int16
        assert len(sound) == round(1.37 * 16000)
        levels.append(float(np.abs(sound.astype(int)).mean()))
    assert 0.0 in levels
    assert len(set(levels)) > 20
    assert len(non_speech(np.random.default_rng(1), 0.0)) == 0
