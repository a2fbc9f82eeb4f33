"""Reports of pages: what is made of them, and that hostile ones are dropped and counted."""

import asyncio
import json
from contextlib import closing

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llia_ros.demo.headless import free_port
from llia_ros.display.page_meter import (
    MOST_BYTES,
    MOST_FRAMES,
    MOST_RATE,
    Marks,
    PageMeter,
    ReportError,
    read_cuts,
    read_report,
)
from llia_ros.display.server import DisplayServer

STAMP = 1_764_248_000.25


def row(index: int, drawn: float = 50.0, heard: float | None = 45.0, epoch: int = 0) -> list:
    return [index, epoch, STAMP + index / 25, 10.0, 14.0, drawn, heard]


def report(*rows: list, cuts: tuple = ()) -> str:
    return json.dumps({'frames': rows, 'cuts': cuts})


def measured(*rows: list) -> dict:
    meter = PageMeter()
    for k, one in enumerate(rows):
        assert meter.take('page', report(one), float(k))
    return meter.figures()


def test_a_steady_page_has_no_jitter():
    figures = measured(*(row(k) for k in range(10)))
    assert figures['page jitter p99 ms'] == pytest.approx(0, abs=1e-3)
    assert figures['page due to drawn p95 ms'] == 50
    assert figures['page lips after sound p50 ms'] == 5
    assert figures['page fps'] == pytest.approx(25)
    assert figures['page frames late'] == figures['page frames left out'] == 0


def test_late_missing_and_uneven_frames_are_told():
    figures = measured(row(0), row(1, 60), row(4, 60), row(5, 100))
    assert figures['page frames left out'] == 2
    assert figures['page frames late'] == 1
    assert figures['page jitter p50 ms'] == pytest.approx(10, abs=1e-3)
    assert figures['page lips after sound size p95 ms'] > figures['page lips after sound p50 ms']


def test_a_frame_is_followed_from_its_sound_to_the_screen():
    meter = PageMeter()
    meter.mark(STAMP, Marks(complete=-70.0, made=-20.0, received=6.0))
    meter.take('page', report(row(0, drawn=50.0, heard=45.0)), 0.0)
    figures = meter.figures()
    way = {
        key.removeprefix('way ').removesuffix(' p50 ms'): value
        for key, value in figures.items()
        if key.startswith('way ') and 'p50' in key
    }
    assert way.pop('ours') == pytest.approx(120)
    assert way == {
        'generation': 50,
        'hold': 20,
        'transport': 6,
        'page transport': 4,
        'lead': 35,
        'drawing': 5,
    }
    assert sum(way.values()) == pytest.approx(120)


def test_cuts_come_through_as_they_were_told():
    meter = PageMeter()
    meter.take('page', report(cuts=([3, STAMP, STAMP + 0.5], [4, STAMP + 2, None])), 0.0)
    first, second = read_cuts(meter.figures()['page cuts'])
    assert (first.epoch, first.drawn, first.heard) == (3, STAMP, STAMP + 0.5)
    assert (second.epoch, second.heard) == (4, None)
    with pytest.raises(ReportError, match='expected epoch, drawn and heard'):
        read_cuts('3 now')


HOSTILE = [
    None,
    b'{}',
    '',
    'x' * (MOST_BYTES + 1),
    '[' * 4000,
    '{}',
    '[]',
    '1e999',
    report(*[row(k) for k in range(MOST_FRAMES + 1)]),
    report([1, 2, 3]),
    report(row(0)[:-1] + ['now']),
    report([0.5, *row(0)[1:]]),
    report([True, *row(0)[1:]]),
    report([[0], *row(0)[1:]]),
    report(row(0, drawn=float('nan'))),
    report(row(0, drawn=float('inf'))),
    report(row(0, heard=float('inf'))),
    report([10**400, *row(0)[1:]]),
    report(row(0, drawn=1e9)),
    report(row(0, heard=-1e9)),
    report(cuts=([1, None, 2.0],)),
    report(cuts=([1, 2.0, None],) * 5),
    json.dumps({'frames': [], 'cuts': [], 'more': []}),
    json.dumps({'frames': {}, 'cuts': []}),
]


@pytest.mark.parametrize('text', HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_report_is_dropped_and_counted(text):
    meter = PageMeter()
    assert not meter.take('page', text, 0.0)
    figures = meter.figures()
    assert (figures['page reports'], figures['page reports dropped']) == (0, 1)
    assert 'page fps' not in figures


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=8), max_leaves=30)


@given(anything, anything)
def test_no_report_does_more_than_be_dropped(frames, cuts):
    try:
        read_report(json.dumps({'frames': frames, 'cuts': cuts}))
    except ReportError:
        pass


def test_a_page_that_talks_too_much_is_not_listened_to():
    meter = PageMeter()
    taken = [meter.take('page', report(), 0.0) for _ in range(20)]
    assert sum(taken) == MOST_RATE
    assert meter.take('other page', report(), 0.0)
    assert meter.take('page', report(), 1.0)


def test_a_page_that_sends_too_much_at_once_is_cut_off_and_others_are_served():
    with closing(DisplayServer(port=free_port())) as server:

        async def talk() -> None:
            async with aiohttp.ClientSession() as session:
                hostile = await session.ws_connect(server.url + 'stream')
                good = await session.ws_connect(server.url + 'stream')
                await hostile.send_str('x' * 10 * MOST_BYTES)
                await hostile.receive(timeout=5)
                assert hostile.closed
                await good.send_bytes(b'no text')
                await good.send_str(report(row(0)))
                for _ in range(500):
                    if server.meter.reports:
                        break
                    await asyncio.sleep(0.01)

        asyncio.run(talk())
        figures = server.meter.figures()
    assert (figures['page reports'], figures['page reports dropped']) == (1, 2)
