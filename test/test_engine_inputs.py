"""What an engine does with bad input, a failing model, and its own end."""

import json
import threading
import time

import cv2
import numpy as np
import pytest
from analytic_backend import CONFIG, PORTRAIT, SIZE, AnalyticBackend, voice

from llia_ros.runtime import backends
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import Backend, load_backend, model_folder
from llia_ros.runtime.portraits import fit, load_portrait

HIGH, WIDE = np.zeros((200, 80, 3), np.uint8), np.zeros((80, 200, 3), np.uint8)


@pytest.fixture
def avatar():
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        yield avatar


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'portraits').mkdir()
    for name in ('robot', 'cat'):
        cv2.imwrite(str(tmp_path / 'portraits' / f'{name}.png'), PORTRAIT[..., ::-1])
    (tmp_path / 'model.json').write_text(json.dumps({'format': backends.FORMAT}))
    return tmp_path


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda a: a.push_audio(np.zeros(9, np.float32)), r'shape \(n,\), not float32 \(9,\)'),
        (lambda a: a.push_audio(np.zeros((9, 2), np.int16)), r'not int16 \(9, 2\)'),
        (lambda a: a.set_state('dancing'), "unknown state 'dancing': one of speaking, listening"),
        (lambda a: a.set_state('dancing', override=True), "unknown state 'dancing'"),
        (lambda a: a.set_state(''), "unknown state ''"),
        (
            lambda a: a.set_expression('hungry'),
            "unknown expression 'hungry': one of neutral, happy",
        ),
        (lambda a: a.set_expression('happy', 1.5), '0 .. 1, not 1.5'),
        (lambda a: a.set_expression('happy', float('nan')), '0 .. 1, not nan'),
        (lambda a: a.set_portrait(np.zeros((90, 90), np.uint8)), r'not uint8 \(90, 90\)'),
        (lambda a: a.set_portrait(np.zeros((90, 90, 3))), 'not float64'),
        (lambda a: a.set_portrait('robot.png'), 'must be a uint8 array'),
        (lambda a: a.set_portrait(np.zeros((90, 10, 3), np.uint8)), 'too small: 10x90'),
        (lambda a: a.look_at(float('inf'), 0, 0), 'cannot look at'),
        (lambda a: a.look_at(0, 0, 0), 'cannot look at'),
    ],
)
def test_bad_input_is_refused_with_one_line_and_does_no_harm(avatar, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(avatar)
    assert '\n' not in str(error.value)
    avatar.push_audio(voice(640 * 4))
    avatar.finish()
    assert len(list(avatar)) == 4


@pytest.mark.parametrize('paced', [True, False])
@pytest.mark.parametrize('stage', ['denoise', 'decode', 'animate'])
def test_a_failure_of_the_model_reaches_whoever_iterates(paced, stage):
    backend = AnalyticBackend()
    with Avatar(backend, PORTRAIT, paced=paced) as avatar:
        backend.fail_at = stage, 1 if stage != 'animate' else 0
        avatar.push_audio(voice(640 * 40))
        avatar.set_expression('happy')
        avatar.push_audio(voice(640 * 40))
        for _ in range(2):
            with pytest.raises(RuntimeError, match=f'failed: {stage} went wrong') as error:
                for _ in range(300):
                    next(avatar)
            assert isinstance(error.value.__cause__, ArithmeticError)
        avatar.push_audio(voice(640))  # goes nowhere, but does no harm


def test_a_portrait_that_the_model_cannot_read_fails_at_the_start():
    backend = AnalyticBackend()
    backend.fail_at = 'encode', 0
    with pytest.raises(ArithmeticError):
        Avatar(backend, PORTRAIT)


@pytest.mark.parametrize('paced', [True, False])
@pytest.mark.parametrize('taken', [0, 1, 9])
def test_close_ends_all_threads_and_the_iteration(paced, taken):
    before = threading.active_count()
    avatar = Avatar(AnalyticBackend(), PORTRAIT, paced=paced)
    avatar.push_audio(voice(640 * 200))  # more than the queues hold
    for _ in range(taken):
        next(avatar)
    start = time.monotonic()
    avatar.close()
    assert time.monotonic() - start < 5
    assert threading.active_count() == before
    assert list(avatar) == []
    avatar.close()
    for call in (lambda: avatar.push_audio(voice(640)), lambda: avatar.set_state('idle')):
        with pytest.raises(RuntimeError, match='closed'):
            call()


def test_close_wakes_whoever_waits_for_a_frame():
    avatar, taken = Avatar(AnalyticBackend(), PORTRAIT, paced=False), []
    waiting = threading.Thread(target=lambda: taken.extend(avatar))
    waiting.start()
    avatar.close()
    waiting.join(10)
    assert not waiting.is_alive() and taken == []


@pytest.mark.parametrize('paced', [True, False])
def test_after_finish_all_is_shown_and_no_more_is_taken(paced):
    with Avatar(AnalyticBackend(), PORTRAIT, paced=paced) as avatar:
        avatar.push_audio(voice(640 * 8))
        avatar.finish()
        avatar.finish()
        with pytest.raises(RuntimeError, match='told to finish'):
            avatar.push_audio(voice(640))
        assert sum(frame.playing for frame in avatar) == 8
        assert list(avatar) == []


@pytest.mark.parametrize('paced', [True, False])
def test_an_interrupt_after_finish_ends_the_iteration(paced):
    with Avatar(AnalyticBackend(), PORTRAIT, paced=paced) as avatar:
        avatar.push_audio(voice(640 * 400))
        avatar.finish()
        while not next(avatar).playing:
            pass
        avatar.interrupt()
        assert not any(frame.playing for frame in avatar)


def test_nothing_pushed_gives_nothing():
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        avatar.push_audio(np.zeros(0, np.int16))
        avatar.end_of_speech()
        avatar.end_of_speech()
        avatar.finish()
        assert list(avatar) == []


def test_pushed_samples_may_be_overwritten_afterwards():
    samples = voice(640 * 400)  # more than is taken up at once
    expected = samples.copy()
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        avatar.push_audio(samples)
        samples[:] = 0
        avatar.finish()
        assert np.array_equal(np.concatenate([frame.audio for frame in avatar]), expected)


def test_stats_tell_what_runs(avatar):
    avatar.push_audio(voice(640 * 8), stamp=time.time() - 0.5)
    avatar.finish()
    list(avatar)
    stats = avatar.stats()
    assert (stats['backend'], stats['model'], stats['state']) == ('analytic', 'tiny', 'idle')
    assert stats['frames'] == stats['speech_frames'] == 8 and stats['clips'] == 2
    assert stats['stages_ms']['transport']['p50'] == pytest.approx(500, abs=100)
    assert set(stats['stages_ms']) == {
        'transport',
        'audio',
        'ahead',
        'queue',
        'denoise',
        'decode',
        'hold',
        'generation',
        'latency',
        'first_clip',
        'onset',
        'whole',
        'own',
    }


def test_a_portrait_is_a_name_a_file_or_an_array(folder):
    other = folder / 'me.jpg'
    cv2.imwrite(str(other), np.full((90, 120, 3), (255, 0, 0), np.uint8))  # blue, as BGR
    assert np.array_equal(load_portrait('robot', folder, SIZE), PORTRAIT)
    assert np.array_equal(load_portrait(PORTRAIT, folder, SIZE), PORTRAIT)
    image = load_portrait(other, folder, SIZE)
    assert image.shape == (SIZE, SIZE, 3)
    assert np.abs(image.astype(int) - (0, 0, 255)).max() < 4


def test_a_portrait_that_cannot_be_had_is_named_with_those_that_can(folder):
    with pytest.raises(ValueError, match="no such portrait 'dog': .* one of: cat, robot"):
        load_portrait('dog', folder, SIZE)
    (folder / 'notes.txt').write_text('not a picture')
    with pytest.raises(ValueError, match='notes.txt is not a picture'):
        load_portrait(folder / 'notes.txt', folder, SIZE)
    cv2.imwrite(str(folder / 'dot.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match='dot.png is too small: 8x8'):
        load_portrait(folder / 'dot.png', folder, SIZE)


@pytest.mark.parametrize('shape', [(200, 80), (80, 200), (64, 64), (1000, 700), (65, 64)])
def test_the_middle_square_of_a_portrait_is_shown(shape):
    image = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - min(shape)) // 2, (shape[1] - min(shape)) // 2
    image[top : top + min(shape), left : left + min(shape)] = 200
    fitted = fit(image, SIZE)
    assert fitted.shape == (SIZE, SIZE, 3) and (fitted == 200).all()


def test_the_analytic_model_is_a_backend():
    assert isinstance(AnalyticBackend(), Backend)


def test_an_unknown_model_or_backend_is_named_with_the_remedy(tmp_path, folder):
    with pytest.raises(ValueError, match="unknown model 'big': give a folder or one of"):
        load_backend('big')
    with pytest.raises(ValueError, match='model.json is missing'):
        load_backend(tmp_path / 'portraits')
    with pytest.raises(ValueError, match="unknown backend 'abacus': one of auto, openvino, torch"):
        load_backend(folder, 'abacus')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"format": 99}', 'has format 99, this version of llia_ros reads format 2'),
        ('{}', 'has format None'),
        ('[1]', 'cannot read'),
        ('weights', 'cannot read'),
    ],
)
def test_weights_of_another_version_are_refused(folder, content, message):
    (folder / 'model.json').write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        model_folder(folder)
    assert '\n' not in str(error.value)


def test_auto_takes_the_first_backend_that_works_and_else_says_why_none_does(folder, monkeypatch):
    def broken(name):
        def load(path):
            raise FileNotFoundError(f'{name}.bin is missing\nand more')

        return load

    def works(path, **options):
        return AnalyticBackend()

    monkeypatch.setattr(backends, '_order', lambda: ['openvino', 'torch'])
    classes = {'openvino': broken('tiny'), 'torch': works}
    monkeypatch.setattr(backends, '_backend_class', classes.get)
    assert load_backend(folder).config is CONFIG
    with pytest.raises(ValueError, match='cannot run .*: openvino: tiny.bin is missing$'):
        load_backend(folder, 'openvino')
    classes['torch'] = broken('tiny2')
    with pytest.raises(ValueError, match='openvino: tiny.bin is missing; torch: tiny2.bin is'):
        load_backend(folder)
