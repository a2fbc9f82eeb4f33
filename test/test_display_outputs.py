"""What every output of the display node may rely on."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from conftest import Probe
from rclpy.parameter import Parameter
from synthetic_face import jpeg
from talking_face import Face

from llia_ros.display.output import Output
from llia_ros.display.pairing import Frame
from llia_ros.nodes.display import Display

FACE = jpeg((200, 30, 60), (10, 80, 120))


class Listed(Output):
    """Keeps what it is given, as (epoch, index)."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []
        self.seen: list[tuple[int, int]] = []
        self.closed = 0

    def hear(self, frame: Frame) -> None:
        self.heard.append((frame.epoch, frame.index))

    def put(self, frame: Frame) -> None:
        self.seen.append((frame.epoch, frame.index))

    def report(self) -> dict[str, Any]:
        return {'seen': len(self.seen)}

    def close(self) -> str:
        self.closed += 1
        return ''


def test_what_comes_after_an_activation_is_newer_than_all_before(probe: Probe) -> None:
    node = Display(context=probe.context, parameter_overrides=[Parameter('output', value='none')])
    with closing(node):
        probe.add(node)
        output = Listed()
        assert node.start()
        node._outputs.append(output)
        face = Face(probe)
        for k, epoch in ((0, 4), (1, 4), (2, 5)):
            face.say(k, FACE, epoch)
        probe.until(lambda: len(output.seen) == 3)
        node.trigger_deactivate()
        node.trigger_activate()
        probe.until(lambda: probe.node.count_subscribers('/audio') == 1)
        probe.spin(0.2)
        before = len(output.seen)

        def said_again() -> bool:
            face.say(3 + len(output.heard), FACE, epoch=0)
            return len(output.seen) > before

        probe.until(said_again)
        assert output.heard[:3] == output.seen[:3] == [(0, 0), (0, 1), (1, 2)]
        assert {epoch for epoch, _ in output.seen[3:]} == {2}
        output.failure, output.notice = 'broken', ''
        assert node.report()[:2] == ('error', 'broken') and node.report()[2]['seen'] >= 4
        output.failure, output.notice = '', 'closed'
        assert node.report()[:2] == ('warn', 'closed')
    assert output.closed == 1
    node.destroy_node()


def test_an_output_that_cannot_be_opened_closes_those_before_it(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Display(
        context=probe.context, parameter_overrides=[Parameter('output', value='file,web')]
    )
    first = Listed()

    def opened(name: str) -> Output:
        if name == 'web':
            raise ValueError('no port')
        return first

    monkeypatch.setattr(node, '_opened', opened)
    assert not node.start() and node.failure == 'no port'
    assert first.closed == 1
    node.destroy_node()
