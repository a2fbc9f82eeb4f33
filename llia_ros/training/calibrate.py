"""What a model draws while its INT8 graphs are calibrated: scenes, streamed clip by clip."""

from __future__ import annotations

import numpy as np
from rich.progress import track

from llia_ros.runtime.backends import Backend
from llia_ros.runtime.ears import ears
from llia_ros.runtime.engine_config import EngineConfig
from llia_ros.training.faces import REST_MOUTH, render
from llia_ros.training.scenes import LEAD, SAMPLES, Scene, Voices, make_scene


def hear(scene: Scene, cfg: EngineConfig) -> np.ndarray:
    """Return what each of a scene's frames hears, by the ears that the engine would use."""

    def samples(start: int, end: int) -> np.ndarray:
        start, end = start + LEAD * SAMPLES, end + LEAD * SAMPLES
        inside = scene.samples[max(start, 0) : max(end, 0)]
        return np.pad(inside, (max(-start, 0), end - max(start, 0) - len(inside)))

    return ears(cfg, samples).hear(0, len(scene.states))


def draw_scenes(backend: Backend, scenes: int = 24, seed: int = 77) -> None:
    """Draw random scenes through a backend, in clips of every length and by one and two steps."""
    cfg = backend.config
    rng = np.random.default_rng(seed)
    voices = Voices(rng)
    noise = rng.standard_normal(cfg.latent_shape, np.float32)
    for index in track(range(scenes), 'calibration'):
        scene = make_scene(rng, voices)
        portrait = render(
            scene.appearance, scene.portrait_motion, REST_MOUTH, scene.expression, cfg.size
        )
        reference = backend.reference(backend.encode(portrait))
        heard, past, frame = hear(scene, cfg), None, 0
        while frame < len(heard) - max(cfg.clip_lengths):
            F = int(rng.choice(cfg.clip_lengths))
            cut = slice(frame, frame + F)
            latents = backend.denoise(
                np.broadcast_to(noise, (F, *noise.shape)),
                heard[cut],
                scene.motion[cut],
                int(scene.states[frame]),
                reference,
                past,
                1 + index % 2,
            )
            backend.decode(latents)
            past, frame = latents[-cfg.past_frames :], frame + F
