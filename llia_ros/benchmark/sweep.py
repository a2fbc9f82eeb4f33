"""`llia bench --sweep`: measures section by section and writes the document."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import NAME, Page, replaced
from llia_ros.benchmark.machine import describe
from llia_ros.benchmark.sections import SECTIONS
from llia_ros.benchmark.setting import Setting
from llia_ros.model.config import ModelConfig, from_dict
from llia_ros.runtime.backends import model_folder

Figures = dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """What every section is told."""

    setting: Setting
    machine: Figures  # see machine.describe
    scratch: Path  # a folder that ends with the sweep
    target: Path  # the document's
    soak_minutes: float | None = None

    @property
    def folder(self) -> Path:
        """The model's."""
        return model_folder(self.setting.model)

    @property
    def config(self) -> ModelConfig:
        """The model's."""
        return from_dict(json.loads((self.folder / 'model.json').read_text())['config'])


class Section(Protocol):
    """A module of `sections`."""

    TITLE: str

    def measure(self, sweep: Sweep) -> Figures:
        """Return the figures; any exception makes the section a failed one."""

    def write(self, figures: Figures, page: Page, machine: Figures) -> None:
        """Write the figures as sentences, tables and plots."""


def section(name: str) -> Any:
    """Return the module of a section; ValueError for a name that is none."""
    if name not in SECTIONS:
        raise ValueError(f'unknown section {name!r}: one of {", ".join(SECTIONS)}')
    return import_module(f'llia_ros.benchmark.sections.{name}')


def page_of(name: str, module: Any, sweep: Sweep, folder: Path) -> tuple[Page, str | None]:
    """Return a section, measured and written, and why it failed, or None."""
    try:
        figures = module.measure(sweep)
        page = _begun(name, module, sweep, folder)
        module.write(figures, page, sweep.machine)
        return page, None
    except Exception as error:  # whatever it is, the other sections must go on
        why = ' '.join(str(error).split()) or type(error).__name__
        page = _begun(name, module, sweep, folder)
        page.say(f'**Failed**: {why}')
        return page, why


def _begun(name: str, module: Any, sweep: Sweep, folder: Path) -> Page:
    """Return a page with its title and, unless it is by hand, the command that makes it."""
    page, machine, setting = Page(name, module.TITLE, folder), sweep.machine, sweep.setting
    if getattr(module, 'BY_HAND', False):
        return page
    command = f'llia bench --sweep {folder.name} --only {name}'
    defaults = Setting()
    for field, value in setting.as_dict().items():
        if value != getattr(defaults, field):
            command += f' --{field} {value}'
    page.say(
        f'`{command}`, {machine["date"]}, {machine["processor"]}, {machine["cores"]} core(s), '
        f'OpenVINO {machine["openvino"]}, load before it {machine["load"]:.1f}.'
    )
    return page


def sweep(
    setting: Setting, folder: Path, only: str | None = None, soak_minutes: float | None = None
) -> int:
    """Measure every section, or one, and write them into `folder`; returns 1 if any failed.

    The document is written after each section, so that nothing is lost by an early end. ValueError
    for an unknown section or model.
    """
    from rich.console import Console
    from rich.progress import Progress

    names: Sequence[str] = SECTIONS if only is None else (only,)
    modules = {name: section(name) for name in names}
    model_folder(setting.model)
    folder = folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    failed, console = {}, Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task('machine', total=len(names) + 1)
        machine = call(describe)
        given = Sweep(setting, machine, Path(scratch), folder, soak_minutes)
        for name, module in modules.items():
            progress.update(bar, advance=1, description=name)
            start = time.perf_counter()
            page, why = page_of(name, module, given, folder)
            before = path.read_text() if path.is_file() else ''
            path.write_text(replaced(before, {name: page.text}, SECTIONS))
            if why is not None:
                failed[name] = why
            outcome = 'failed' if why is not None else 'done'
            console.print(f'{name}: {outcome} in {time.perf_counter() - start:.0f} s')
        progress.update(bar, advance=1)
    print(path)
    for name, why in failed.items():
        print(f'llia: section {name} failed: {why}', file=sys.stderr)
    return 1 if failed else 0
