"""What this process has used so far, as the operating system counts it."""

import os
import resource
import sys
from pathlib import Path


def peak_rss_mb() -> float:
    """Return the most memory that this process ever held, MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == 'darwin' else 1e3)


def rss_mb() -> float:
    """Return the memory held now, MB; where that is not told, the most so far."""
    statm = Path('/proc/self/statm')
    if not statm.is_file():
        return peak_rss_mb()
    return int(statm.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6


def cores() -> int:
    """Return how many cores this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )


def page_faults() -> tuple[int, int]:
    """Return page faults so far, without and with reading from a disk."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt, used.ru_majflt
