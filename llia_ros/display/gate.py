"""Keeps what was interrupted from being shown: the display's half of an interruption."""

from __future__ import annotations

from dataclasses import dataclass

# An avatar that was started anew counts its epochs and frames from zero again. It is told from a
# late item of an interrupted epoch by its stamp: nobody queues a face two seconds ahead, and none
# is loaded within two seconds.
RESTART_SECONDS = 2.0


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

    def admit(self, epoch: int, stamp: float) -> bool:
        """Tell whether an item of `epoch`, to be seen at `stamp` (s), may still go out."""
        if self.epoch is None:
            self.epoch, self.newest_stamp = epoch, stamp
        elif epoch != self.epoch or stamp >= self.newest_stamp + RESTART_SECONDS:
            if epoch < self.epoch and stamp < self.newest_stamp + RESTART_SECONDS:
                self.held_back += 1
                return False
            self.epoch = epoch
            self.generation += 1
            self.newest_stamp = stamp
        self.newest_stamp = max(self.newest_stamp, stamp)
        return True
