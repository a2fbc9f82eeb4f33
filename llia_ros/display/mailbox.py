"""What goes to a page: items, their bytes on the WebSocket, and what waits for a slow client."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass

# CUT: everything older than the item's epoch is over, an interrupt. ALIVE: nothing to show.
PICTURE, SOUND, ALIVE, CUT = 1, 2, 3, 4
# kind, padding, epoch, index, stamp (s), state as text; little endian. A multiple of 8 bytes, so
# that the samples behind it are aligned for the browser's Int16Array.
STATE_BYTES = 16
HEADER = struct.Struct(f'<BxxxIqd{STATE_BYTES}s')

# Sound kept for a client that lags: half a second. What is older would be too late anyway.
MAX_SOUNDS = 12


@dataclass(frozen=True)
class Item:
    """One message to the page: mostly a JPEG picture or the PCM sound of the frame `index`.

    `stamp` is when the frame is to be seen (s of ROS time); `data` JPEG bytes or int16 mono.
    """

    kind: int
    index: int
    epoch: int
    stamp: float
    state: str
    data: bytes

    def packed(self) -> bytes:
        """Header and data as they go over the WebSocket."""
        epoch, state = self.epoch & 0xFFFFFFFF, self.state.encode()
        return HEADER.pack(self.kind, epoch, self.index, self.stamp, state) + self.data


def unpack(message: bytes) -> Item:
    """Undo `Item.packed`, for clients written in Python."""
    kind, epoch, index, stamp, state = HEADER.unpack_from(message)
    name = state.rstrip(b'\0').decode()
    return Item(kind, index, epoch, stamp, name, message[HEADER.size :])


class Mailbox:
    """What waits for one client: the latest picture and a little sound, never more."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.dropped = 0
        self._picture: Item | None = None
        self._sounds: deque[Item] = deque()

    def put(self, item: Item) -> None:
        """Leave an item; an older one gives way to it."""
        if item.kind == PICTURE:
            self.dropped += self._picture is not None
            self._picture = item
        else:
            while self._sounds and (
                self._sounds[0].epoch != item.epoch or len(self._sounds) >= MAX_SOUNDS
            ):
                self._sounds.popleft()
                self.dropped += 1
            self._sounds.append(item)
        if item.kind == CUT and self._picture is not None:
            self._picture = None
            self.dropped += 1
        self.ready.set()

    def take(self) -> list[Item]:
        """Empty the mailbox: sound first, for it has to be scheduled before its picture."""
        items = list(self._sounds)
        self._sounds.clear()
        if self._picture is not None:
            items.append(self._picture)
            self._picture = None
        self.ready.clear()
        return items
