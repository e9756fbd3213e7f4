"""Street scenes: what stands where. Geometry in metres: x right of the middle of the road, z ahead.

Made to be hard for a small network: facades, pavement, road and cars share their colours, so that
shape and place must decide; poles are a pixel wide, pedestrians a few, light and noise vary widely.
"""

from dataclasses import dataclass, field

import numpy as np

from afdcd.data.synthetic.canvas import Colour, Number, mix

Rng = np.random.Generator
_FAR = 90.0
_STONE: tuple[Colour, ...] = (
    (150, 146, 140),
    (176, 160, 134),
    (120, 118, 120),
    (146, 92, 74),
    (196, 190, 178),
    (104, 112, 96),
)
_PAINT: tuple[Colour, ...] = (
    (170, 172, 176),
    (60, 62, 68),
    (190, 40, 36),
    (40, 70, 140),
    (224, 222, 216),
    (96, 104, 90),
    (150, 146, 140),
    (214, 170, 40),
)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that stands in the street; `speed` is metres per frame along (x, z)."""

    kind: str
    x: float
    z: float
    size: tuple[Number, Number, Number]  # width, height, length
    colour: Colour
    speed: tuple[Number, Number] = (0.0, 0.0)
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """One street in one light; its frames differ by the camera and by what moves.

    `road` is half the width of the road, `pavement` the width of each pavement, `crossing` where a
    zebra crossing starts, `sun` the side (-1 left, 1 right) whose buildings throw the shadow.
    """

    road: float
    pavement: float
    road_colour: Colour
    pavement_colour: Colour
    sky: tuple[Colour, Colour]
    haze: float
    sun: float
    crossing: float
    buildings: list[Thing] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


def plan(rng: Rng) -> Scene:
    """Draw a street: its width, its colours, its buildings and all that stands or moves in it."""
    top = mix((64, 120, 200), (168, 172, 178), rng.random())
    scene = Scene(
        road=rng.uniform(2.6, 5.2),
        pavement=rng.uniform(2.0, 5.0),
        road_colour=_varied(rng, (96, 96, 100), 22),
        pavement_colour=_varied(rng, _STONE[rng.integers(len(_STONE))], 20),
        sky=(top, mix(top, (236, 226, 210), rng.uniform(0.3, 1.0))),
        haze=rng.uniform(0.002, 0.022),
        sun=float(rng.choice([-1.0, 1.0])),
        crossing=rng.uniform(6, 60),
    )
    for side in (-1.0, 1.0):
        _plan_buildings(rng, scene, side)
        _plan_kerb(rng, scene, side)
    _plan_traffic(rng, scene)
    return scene


def _plan_buildings(rng: Rng, scene: Scene, side: Number) -> None:
    z = rng.uniform(-6, 2)
    while z < _FAR:
        length = rng.uniform(5, 16)
        x = side * (scene.road + scene.pavement + rng.uniform(0, 1.5))
        if rng.random() < 0.8:
            colour = _varied(rng, _STONE[rng.integers(len(_STONE))], 22)
            size = (12.0, rng.uniform(4, 20), length)
            scene.buildings.append(Thing("building", x, z, size, colour, seed=_seed(rng)))
        else:
            for _ in range(3):
                place = x + side * rng.uniform(1, 8), z + rng.uniform(0, length)
                scene.buildings.append(_tree(rng, *place))
        z += length


def _plan_kerb(rng: Rng, scene: Scene, side: Number) -> None:
    kerb = side * (scene.road + 0.4)
    beyond = side * (scene.road + scene.pavement * 0.6)
    for z in np.arange(rng.uniform(3, 12), _FAR * 0.7, rng.uniform(7, 18)):
        thing = _tree(rng, beyond, z) if rng.random() < 0.4 else _pole(rng, kerb, z)
        scene.things.append(thing)
    for z in np.arange(rng.uniform(4, 14), _FAR * 0.6, rng.uniform(6, 22)):
        if rng.random() < 0.6:
            scene.things.append(_vehicle(rng, side * (scene.road - 1.0), z, speed=0.0))
    for _ in range(rng.integers(1, 7)):
        x = side * (scene.road + rng.uniform(0.3, scene.pavement))
        scene.things.append(_pedestrian(rng, x, rng.uniform(3, 32)))
    for _ in range(rng.integers(0, 3)):
        x, size = side * (scene.road + rng.uniform(0.3, scene.pavement)), rng.uniform(0.5, 1.3)
        colour = _varied(rng, _PAINT[rng.integers(len(_PAINT))], 20)
        scene.things.append(Thing("clutter", x, rng.uniform(4, 30), (size, size, size), colour))


def _plan_traffic(rng: Rng, scene: Scene) -> None:
    for _ in range(rng.integers(1, 5)):
        lane = rng.choice([-1.0, 1.0])
        speed = -lane * rng.uniform(0.4, 1.6)
        scene.things.append(
            _vehicle(rng, lane * scene.road * 0.42, rng.uniform(8, 50), speed=speed)
        )
    for _ in range(rng.integers(0, 3)):
        crossing = _pedestrian(rng, rng.uniform(-1, 1) * scene.road, rng.uniform(6, 26))
        scene.things.append(crossing)


def _vehicle(rng: Rng, x: Number, z: Number, *, speed: Number) -> Thing:
    kinds = {"car": (1.8, 1.45, 4.2), "van": (2.0, 2.2, 5.0), "bus": (2.5, 3.1, 10.0)}
    kind = str(rng.choice(list(kinds), p=[0.74, 0.16, 0.10]))
    colour = _varied(rng, _PAINT[rng.integers(len(_PAINT))], 18)
    return Thing(kind, x, float(z), kinds[kind], colour, (0.0, speed), seed=_seed(rng))


def _pedestrian(rng: Rng, x: Number, z: Number) -> Thing:
    height = rng.uniform(1.2, 1.9)
    colour = _varied(rng, (*_PAINT, *_STONE)[rng.integers(len(_PAINT) + len(_STONE))], 30)
    speed = rng.normal(0, 0.3), rng.normal(0, 0.5)
    return Thing("pedestrian", x, z, (0.3 * height, height, 0.3), colour, speed, seed=_seed(rng))


def _tree(rng: Rng, x: Number, z: Number) -> Thing:
    leaves = mix((62, 92, 40), (128, 104, 52), rng.random() ** 2)
    size = (rng.uniform(1.6, 4.0), rng.uniform(3.5, 9.0), 0.3)
    return Thing("tree", x, float(z), size, _varied(rng, leaves, 20), seed=_seed(rng))


def _pole(rng: Rng, x: Number, z: Number) -> Thing:
    size = (rng.uniform(0.09, 0.2), rng.uniform(2.3, 7.0), 0.1)
    return Thing("pole", x, float(z), size, _varied(rng, (112, 112, 108), 40), seed=_seed(rng))


def _varied(rng: Rng, colour: Colour, spread: Number) -> Colour:
    common = rng.normal(0, spread)
    a, b, c = (value + common + rng.normal(0, spread / 3) for value in colour)
    return a, b, c


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**31))
