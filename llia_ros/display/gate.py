"""Keeps what was interrupted from being shown: the display's half of an interruption."""

from __future__ import annotations

from dataclasses import dataclass

# An avatar that was started anew counts its epochs and frames from zero again. It is told from a
# late item by its stamp, for nobody queues a face two seconds ahead, or by its index, for none
# comes two seconds late.
RESTART_SECONDS = 2.0
RESTART_FRAMES = 50


@dataclass
class Gate:
    """Lets items of the newest epoch through and counts those it holds back.

    `generation` rises with every change of epoch and whenever the avatar was restarted, be it in
    the epoch that it had, so that whoever is behind the gate may rely on "higher is newer".
    """

    epoch: int | None = None
    generation: int = 0
    held_back: int = 0
    newest_stamp: float = 0.0
    newest_index: int = 0

    def admit(self, epoch: int, stamp: float, index: int | None = None) -> bool:
        """Tell whether an item of `epoch`, to be seen at `stamp` (s), may still go out."""
        index = self.newest_index if index is None else index
        if self.epoch is None:
            self._begin(epoch, stamp, index)
        elif epoch < self.epoch and stamp < self.newest_stamp + RESTART_SECONDS:
            self.held_back += 1
            return False
        restarted = (
            stamp >= self.newest_stamp + RESTART_SECONDS
            or index < self.newest_index - RESTART_FRAMES
        )
        if epoch != self.epoch or restarted:
            self.generation += 1
            self._begin(epoch, stamp, index)
        self.newest_stamp = max(self.newest_stamp, stamp)
        self.newest_index = max(self.newest_index, index)
        return True

    def _begin(self, epoch: int, stamp: float, index: int) -> None:
        self.epoch, self.newest_stamp, self.newest_index = epoch, stamp, index
