"""Light, texture and sensor: what lies between a drawn scene and a photograph of it."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

Rng = np.random.Generator


def photograph(
    image: UInt8[np.ndarray, "H W 3"], label: UInt8[np.ndarray, "H W"], rng: Rng, scene_rng: Rng
) -> UInt8[np.ndarray, "H W 3"]:
    """Add texture per class, vignette, exposure, colour cast, blur and noise.

    `scene_rng` draws what frames of one scene share (light), `rng` what differs (exposure, noise).
    """
    height, width = label.shape
    amplitude = np.zeros(256, dtype=np.float32)
    # Overlapping ranges: texture alone must not give the class away.
    amplitude[:8] = scene_rng.uniform(
        (0.0, 0.04, 0.03, 0.03, 0.10, 0.02, 0.02, 0.04),
        (0.02, 0.16, 0.12, 0.14, 0.24, 0.1, 0.08, 0.12),
    )
    fine = rng.standard_normal((height, width), dtype=np.float32)
    coarse = _cloud(rng, height, width)
    light = 1 + amplitude[label] * (0.8 * fine + 0.45 * coarse)
    light *= _vignette(height, width, float(scene_rng.uniform(0.0, 0.35)))
    cast = (
        scene_rng.uniform(0.86, 1.14, 3) * scene_rng.uniform(0.65, 1.25) * rng.uniform(0.92, 1.08)
    )
    gamma = scene_rng.uniform(0.75, 1.15)
    photo = image.astype(np.float32) * (light[:, :, None] * cast.astype(np.float32))
    curve = (255 * (np.arange(512) / 255) ** gamma).clip(0, 255).astype(np.uint8)
    exposed = Image.fromarray(curve.take(photo.astype(np.int16), mode="clip"))
    blurred = exposed.filter(ImageFilter.GaussianBlur(float(scene_rng.uniform(0.0, 0.9))))
    grain = rng.standard_normal((height, width, 3), dtype=np.float32)
    noisy = np.asarray(blurred) + grain * np.float32(scene_rng.uniform(1.0, 6.0))
    return noisy.clip(0, 255).astype(np.uint8)


def _cloud(rng: Rng, height: int, width: int) -> np.ndarray:
    """Smooth noise of unit size with spots of about eight pixels."""
    spots = rng.standard_normal((height // 8 + 2, width // 8 + 2), dtype=np.float32)
    return np.asarray(Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC))


def _vignette(height: int, width: int, strength: float) -> np.ndarray:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return 1 - np.float32(strength) * (rows**2 + columns**2) / 2
