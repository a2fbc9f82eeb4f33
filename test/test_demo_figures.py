"""The demo's figures, on conversations whose answers are known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from llia_ros.demo.figures import first_pictures, interruptions, measure, mouth_motion, reaction
from llia_ros.demo.log import Log, Picture, Sound, Spoken, level
from llia_ros.demo.report import table, video_lengths
from llia_ros.demo.timeline import draw
from llia_ros.display.page_meter import Cut

START = 1_700_000_000.0


def jpeg(value: int) -> bytes:
    return cv2.imencode('.jpg', np.full((64, 64, 3), value, np.uint8))[1].tobytes()


def conversation(seconds: float = 10.0, transport: float = 0.01) -> Log:
    """A robot that speaks from 2 s to 6 s and is interrupted at 5 s, noticed at 5.2 s.

    Its first voiced frame is due at 2.12 s; the old epoch's last one at 5.24 s.
    """
    log = Log()
    for k in range(int(seconds * 25)):
        at = k / 25
        epoch = int(at > 5.24)
        voiced = 2.1 < at < 5.25
        state = 'speaking' if voiced else 'listening' if at > 5.25 else 'idle'
        stamp = START + at
        log.sounds.append(Sound(stamp + transport, stamp, k, epoch, state, 0.2 if voiced else 0.0))
        # After the interruption the old picture is shown once more.
        value = 131 if k == 132 else k % 256
        log.pictures.append(Picture(stamp + transport, stamp, jpeg(value)))
    log.user = [(START + k / 50, 0.1 if 5 < k / 50 < 6 else 0.0) for k in range(500)]
    log.states = [
        (START + at, state)
        for at, state in [(0, 'idle'), (2.1, 'speaking'), (5.3, 'listening'), (8.0, 'idle')]
    ]
    log.user_speaks = [(START, False), (START + 5.2, True), (START + 6.6, False)]
    log.spoken = [
        Spoken('answer', 'robot', START + 2.0, START + 6.0),
        Spoken('stop', 'user', START + 5.0, START + 6.0),
    ]
    log.diagnostics['avatar'] = {
        'late_frames': '3',
        'generation p50 ms': '81',
        'generation p95 ms': '99',
    }
    return log


def test_figures_of_a_known_conversation():
    figures = measure(conversation())
    assert figures.frames == 250 and figures.fps == pytest.approx(25.0)
    assert figures.late_frames == 3 and figures.frames_lost == 0
    assert figures.first_picture_ms == pytest.approx(130, abs=1)
    assert figures.interruptions == 1
    assert figures.interruption_ms == pytest.approx(250, abs=1)
    assert figures.interruption_after_detection_ms == pytest.approx(50, abs=1)
    assert figures.new_face_after_detection_ms == pytest.approx(130, abs=1)
    assert figures.old_frames_after_interruption == 0
    assert figures.reaction_to_user_ms == pytest.approx(300, abs=1)
    assert figures.display_latency_p50_ms == pytest.approx(10, abs=0.1)
    assert figures.generation_p95_ms == 99
    assert figures.state_changes == 3 and figures.states[-1] == 'idle'


def test_a_lost_picture_and_a_pause_are_seen():
    log = conversation()
    del log.pictures[50:60]
    figures = measure(log)
    assert figures.frames_lost == 10 and figures.longest_gap_ms == pytest.approx(440, abs=1)


def test_old_frames_after_a_newer_one_are_counted():
    log = conversation()
    old = log.sounds[100]
    log.sounds.append(replace(old, arrival=START + 7))
    assert measure(log).old_frames_after_interruption == 1


def test_of_several_interruptions_the_slowest_is_told():
    log = conversation()
    log.sounds = [replace(s, epoch=2 if s.index > 200 else s.epoch) for s in log.sounds]
    log.user_speaks += [(START + 7.9, True)]
    first, second = interruptions(log)
    assert first.silent_after == pytest.approx(0.05, abs=0.001)
    assert second.silent_after == pytest.approx(0.11, abs=0.001)
    figures = measure(log)
    assert figures.interruptions == 2
    assert figures.interruption_after_detection_ms == pytest.approx(110, abs=1)


def test_an_interruption_that_was_over_before_it_was_noticed_took_no_time():
    log = conversation()
    log.user_speaks[1] = (START + 5.288, True)
    assert interruptions(log)[0].silent_after == 0


def test_the_first_picture_counts_when_its_picture_came_not_its_sound():
    log = conversation()
    late = next(k for k, sound in enumerate(log.sounds) if sound.level)
    log.pictures[late] = replace(log.pictures[late], arrival=START + 3)
    assert first_pictures(log) == [pytest.approx(1000, abs=1)]


def test_without_an_interruption_there_is_no_figure_of_it():
    log = conversation(seconds=4.0)
    assert interruptions(log) == []
    figures = measure(log)
    assert figures.interruption_ms is None and figures.old_frames_after_interruption is None


def test_a_robot_that_never_listens_has_no_reaction():
    log = conversation()
    log.states = log.states[:2]
    assert reaction(log) is None


def test_no_pictures_are_said_so():
    with pytest.raises(ValueError, match='no pictures came'):
        measure(Log())


def test_mouth_motion_is_seen_at_the_mouth_and_only_there():
    still = np.full((64, 64), 100, np.uint8)
    blink, word = still.copy(), still.copy()
    blink[10:20, 16:48] = 0
    word[40:50, 24:40] = 0
    motion = mouth_motion([still, blink, still, word, still])
    assert list(motion > 0) == [False, False, False, True, True]
    assert mouth_motion([]).shape == (0,)


def test_the_level_of_a_sound_is_its_rms():
    assert level(np.full(100, -16384, np.int16)) == pytest.approx(0.5)
    assert level(np.zeros(0, np.int16)) == 0


def test_the_timeline_shows_faces_states_and_voices_in_their_colours(tmp_path):
    path = tmp_path / 'timeline.png'
    draw(conversation(), START, path)
    picture = cv2.imread(str(path))[..., ::-1]
    assert picture.shape[1] > 1000

    def area(colour: tuple[int, int, int]) -> int:
        return int((np.abs(picture.astype(int) - colour).max(axis=2) < 6).sum())

    speaking, listening, nothing = area((228, 87, 46)), area((46, 134, 171)), area((0, 255, 0))
    assert speaking > 5000 and listening > 5000 and nothing == 0


def test_the_summary_names_what_did_not_happen(capsys):
    from rich.console import Console

    Console(width=100).print(table(measure(conversation(seconds=4.0))))
    printed = capsys.readouterr().out
    rows = {
        line.split('│')[1].strip(): line.split('│')[2].strip()
        for line in printed.splitlines()
        if line.count('│') == 3
    }
    assert rows['frames per second'] == '25.00'
    assert rows["interruption: user's voice to last old frame"] == '-'


def test_a_broken_recording_is_named(tmp_path):
    path = tmp_path / 'demo.mp4'
    path.write_bytes(b'no video')
    with pytest.raises(ValueError, match=r"recording '.*demo\.mp4' is broken"):
        video_lengths(path)


PAGE = {
    'page fps': '24.9',
    'page frames late': '2',
    'page frames left out': '1',
    'page reports dropped': '0',
    'page jitter p99 ms': '12.5',
    'page lips after sound size p95 ms': '31',
    'way ours p50 ms': '110',
    'way ours p95 ms': '150',
}


def test_without_a_page_there_are_no_figures_of_it():
    assert measure(conversation()).page is None


def test_an_interruption_is_measured_to_the_last_old_picture_and_sound_at_the_page():
    log = conversation()
    log.diagnostics['display'] = dict(PAGE)
    log.spoken.append(Spoken('again', 'user', START + 9.0, START + 9.5))
    log.cuts = {
        # Of an avatar that was started anew: nobody spoke.
        1: Cut(1, START + 1.0, None),
        2: Cut(2, START + 5.15, START + 5.19),
        3: Cut(3, START + 9.17, START + 9.13),
    }
    page = measure(log).page
    assert page is not None and page.interruptions == 2
    assert page.interruption_picture_ms == pytest.approx((160, 169), abs=0.1)
    assert page.interruption_sound_ms == pytest.approx((160, 187), abs=0.1)
    assert page.interruption_ms == pytest.approx((180, 189), abs=0.1)
    assert (page.fps, page.frames_late, page.frames_left_out) == (24.9, 2, 1)
    assert page.jitter_p99_ms == 12.5 and page.jitter_p50_ms is None
    assert page.way_ms == {'ours': (110.0, 150.0)}
    cells = [str(cell) for column in table(measure(log)).columns for cell in column.cells]
    assert '110, 150 ms' in cells and '24.90' in cells


def test_a_long_conversation_is_drawn_up_to_some_moment():
    log = conversation()
    short = log.until(START + 4.0)
    assert len(short.pictures) == len(short.sounds) == 100
    assert [line.name for line in short.spoken] == ['answer']
    assert short.diagnostics == log.diagnostics
