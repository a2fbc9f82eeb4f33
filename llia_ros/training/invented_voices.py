"""Voices that nobody has: espeak-ng's synthesizer with settings drawn at random.

A variant of espeak-ng is a small file of formants, breath, roughness and the like. There are a
hundred of them, too few to learn what a voice may sound like, so a folder of data is made beside
the installed one that holds more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FORMANTS = 9


def invent(rng: np.random.Generator, name: str) -> str:
    """Return the settings of a voice, in the format of espeak-ng's variants.

    The formants of a head share its size; each is moved, made louder and broader by itself.
    """
    low = int(rng.uniform(60, 230))
    lines = ['language variant', f'name {name}', f'pitch {low} {int(low * rng.uniform(1.1, 1.9))}']
    size = rng.lognormal(0.03, 0.14)
    for i in range(FORMANTS):
        place = 100 * (size * rng.lognormal(0, 0.09) if i else rng.lognormal(0, 0.06))
        loud, broad = 100 * rng.lognormal((-0.25, 0.15), (0.25, 0.3))
        moved = int(rng.normal(0, 120)) if i in (1, 2, 3) and rng.random() < 0.25 else 0
        height = 0 if i > 4 and rng.random() < 0.1 else np.clip(loud, 30, 160)
        lines.append(
            f'formant {i} {int(np.clip(place, 70, 200))} {int(height)} '
            f'{int(np.clip(broad, 60, 250))} {moved}'
        )

    def sometimes(share: float, line: str) -> None:
        if rng.random() < share:
            lines.append(line)

    def whole(least: float, most: float, count: int) -> str:
        return ' '.join(map(str, rng.uniform(least, most, count).astype(int)))

    sometimes(0.5, f'voicing {whole(20, 160, 1)}')
    sometimes(0.5, f'consonants {whole(30, 150, 2)}')
    sometimes(0.4, f'roughness {whole(0, 6, 1)}')
    sometimes(0.4, f'flutter {whole(0, 25, 1)}')
    sometimes(0.3, f'intonation {whole(1, 5, 1)}')
    sometimes(0.2, f'echo {whole(20, 140, 1)} {whole(5, 40, 1)}')
    sometimes(0.15, f'klatt {whole(1, 6, 1)}')
    fall = rng.uniform(0.25, 1.1)
    levels = [int(np.clip(255 * fall**i * rng.lognormal(0, 0.5), 5, 255)) for i in range(5)]
    sometimes(
        0.5, 'tone ' + ' '.join(f'{hz} {x}' for hz, x in zip((100, 600, 1200, 2000, 3000), levels))
    )
    if rng.random() < 0.35:
        breath = rng.uniform(2, 75) * rng.uniform(0.4, 1.0) ** np.arange(8)
        lines.append('breath ' + ' '.join(map(str, breath.astype(int))))
        lines.append('breathw 150 150 200 200 400 400 600 600')
    return '\n'.join(lines) + '\n'


class Inventor:
    """A folder of espeak-ng's data, all by links but for one variant that changes its voice.

    The library lists at most 350 voices and reads a variant's file each time that it is chosen,
    so one name is enough for any number of them.
    """

    name = 'invented'

    def __init__(self, installed: Path, folder: Path):
        """Link what `installed` holds; `folder` is what espeak-ng then takes for its path."""
        data = folder / 'espeak-ng-data'
        variants = data / 'voices' / '!v'
        variants.mkdir(parents=True, exist_ok=True)
        self.file = variants / self.name
        for part in (Path(), Path('voices'), Path('voices') / '!v'):
            for path in (installed / part).iterdir():
                here = data / part / path.name
                if not here.exists():
                    here.symlink_to(path)
        self.file.write_text(invent(np.random.default_rng(0), self.name))

    def change(self, rng: np.random.Generator) -> str:
        """Draw another voice; returns the name of the variant."""
        self.file.write_text(invent(rng, self.name))
        return self.name
