"""llia_ros: a living face for robots, drawn from speech by a few-step diffusion model."""

__version__ = '0.1.0'
