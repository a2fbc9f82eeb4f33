"""Measures speed and latency of the real engine on the machine at hand: `llia bench`."""
