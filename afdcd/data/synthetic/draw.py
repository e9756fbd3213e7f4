"""How a street scene is drawn: sky, ground, buildings far to near, then things far to near."""

from collections.abc import Callable

import numpy as np

from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.synthetic.canvas import Camera, Canvas, Colour, Number, mix, rectangle, shade
from afdcd.data.synthetic.plan import Rng, Scene, Thing

SKY, BUILDING, ROAD, PAVEMENT, TREE, POLE, CAR, PEDESTRIAN = range(len(SYNTHETIC.classes))


def draw(scene: Scene, frame: int, rng: Rng, height: int, width: int) -> Canvas:
    """The scene from the place where the camera is at `frame`, two metres on each time."""
    camera = Camera(
        focal=width * rng.uniform(0.72, 0.82),
        centre=width * rng.uniform(0.42, 0.58),
        horizon=height * rng.uniform(0.40, 0.48),
        x=rng.uniform(-0.4, 0.4) - 0.2 * scene.road,
        y=rng.uniform(1.4, 2.2),
        z=2.0 * frame,
    )
    canvas = Canvas(height, width, camera, scene.sky[1], scene.haze)
    _draw_sky(canvas, scene, rng, height, width)
    _draw_ground(canvas, scene, height, width)
    for thing in sorted(scene.buildings, key=lambda t: -t.z):
        if thing.z + thing.size[2] > camera.z + 1.5:
            _DRAW[thing.kind](canvas, thing, thing.x, thing.z, scene)
    placed = [(t.x + frame * t.speed[0], t.z + frame * t.speed[1], t) for t in scene.things]
    for x, z, thing in sorted(placed, key=lambda item: -item[1]):
        if z > camera.z + 2.5:
            _DRAW[thing.kind](canvas, thing, x, z, scene)
    return canvas


def _draw_sky(canvas: Canvas, scene: Scene, rng: Rng, height: int, width: int) -> None:
    horizon, bands = canvas.camera.horizon, 24
    for band in range(bands):
        v0, v1 = horizon * band / bands, horizon * (band + 1) / bands + 1
        colour = mix(scene.sky[0], scene.sky[1], band / (bands - 1))
        canvas.flat([(0, v0), (width, v0), (width, v1), (0, v1)], colour, SKY)
    for _ in range(rng.integers(0, 9)):
        x, y = rng.uniform(-90, 90), rng.uniform(10, 60)
        puff = mix(scene.sky[0], (250, 248, 244), rng.uniform(0.3, 0.8))
        canvas.ellipse(
            (x, y, canvas.camera.z + 30), (rng.uniform(3, 16), rng.uniform(1, 3)), puff, None
        )
    u = 0.0
    while u < width:  # what closes the street at its far end
        step, top = width * rng.uniform(0.03, 0.12), horizon - height * rng.uniform(0.0, 0.09)
        green = rng.random() < 0.4
        colour = mix(
            scene.sky[1], (84, 104, 76) if green else (140, 134, 128), rng.uniform(0.3, 0.7)
        )
        corners = [(u, horizon + 2), (u, top), (u + step, top), (u + step, horizon + 2)]
        canvas.flat(corners, colour, TREE if green else BUILDING)
        u += step


def _draw_ground(canvas: Canvas, scene: Scene, height: int, width: int) -> None:
    horizon, near = canvas.camera.horizon, canvas.camera.z
    ground = [(0.0, horizon), (width, horizon), (width, height), (0.0, height)]
    canvas.flat(ground, scene.pavement_colour, PAVEMENT)
    _strip(canvas, -scene.road, scene.road, near, near + 400, scene.road_colour, ROAD)
    edge = scene.road + scene.pavement
    reach = sorted((scene.sun * edge, scene.sun * (edge - 0.75 * scene.pavement - 1.2)))
    dark = shade(mix(scene.pavement_colour, scene.road_colour, 0.3), 0.62)
    kerb = sorted((scene.sun * scene.road, scene.sun * edge))
    _strip(canvas, max(reach[0], kerb[0]), min(reach[1], kerb[1]), near, near + 60, dark, None)
    for side in (-1, 1):
        x = side * scene.road
        _strip(
            canvas, x - 0.12, x + 0.12, near, near + 120, shade(scene.pavement_colour, 1.2), None
        )
    paint = mix(scene.road_colour, (240, 240, 235), 0.75)
    for z in np.arange(near - near % 6, near + 60, 6.0):
        if z + 2.5 > near:
            _strip(canvas, -0.08, 0.08, z, z + 2.5, paint, None)
    if scene.crossing > near:
        for x in np.arange(-scene.road + 0.3, scene.road - 0.5, 1.0):
            _strip(canvas, x, x + 0.5, scene.crossing, scene.crossing + 3, paint, None)


def _strip(
    canvas: Canvas,
    x0: Number,
    x1: Number,
    z0: Number,
    z1: Number,
    colour: Colour,
    train_id: int | None,
) -> None:
    canvas.polygon([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)], colour, train_id)


def _draw_building(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    """A facade along the street and the end that faces the camera, where nothing hides it."""
    side, (depth, height, length) = np.sign(x), thing.size
    lit = 1.08 if side != scene.sun else 0.78
    end = [(x, 0, z), (x + side * depth, 0, z), (x + side * depth, height, z), (x, height, z)]
    canvas.polygon(end, shade(thing.colour, 0.86), BUILDING)
    front = [(x, 0, z), (x, 0, z + length), (x, height, z + length), (x, height, z)]
    canvas.polygon(front, shade(thing.colour, lit), BUILDING)
    rng = np.random.default_rng(thing.seed)
    storey, bay = rng.uniform(2.7, 3.6), rng.uniform(1.6, 3.4)
    glass = mix((44, 52, 66), scene.sky[0], rng.uniform(0.0, 0.7))
    for level in np.arange(0.9, height - 1.6, storey):
        for place in np.arange(z + 0.6, z + length - 1.0, bay):
            if canvas.camera.depth(place) > 45 or place < canvas.camera.z:
                continue
            pane = mix(glass, (224, 190, 120), float(rng.random() < 0.08))
            tall, wide = storey * 0.5, bay * 0.5
            corners = [
                (x, level, place),
                (x, level, place + wide),
                (x, level + tall, place + wide),
                (x, level + tall, place),
            ]
            canvas.polygon(corners, shade(pane, rng.uniform(0.8, 1.1)))


def _draw_tree(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    radius, height, _ = thing.size
    rng = np.random.default_rng(thing.seed)
    canvas.ellipse((x, 0.0, z), (radius * 0.9, 0.25), shade(scene.pavement_colour, 0.6), None)
    canvas.upright(x, z, (0.3, height * 0.6), (74, 62, 52), TREE)
    for _ in range(14):
        angle, out = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.random()) * 0.8
        dx, dy = out * np.cos(angle), 0.8 * out * np.sin(angle)
        tone = 0.95 + 0.25 * dy / radius + rng.uniform(-0.15, 0.15)
        size = radius * rng.uniform(0.25, 0.5)
        leaves = shade(thing.colour, tone)
        canvas.ellipse((x + dx, height * 0.72 + dy, z), (size, size * 0.85), leaves, TREE)


def _draw_pole(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    rng = np.random.default_rng(thing.seed)
    width, height, _ = thing.size
    canvas.upright(x, z, (width, height), thing.colour, POLE)
    if height > 4.5:  # a street lamp reaches over the road
        reach = -np.sign(x) * 1.2
        canvas.upright(x + reach / 2, z, (abs(reach), 0.12), thing.colour, POLE, base=height - 0.12)
    elif rng.random() < 0.8:
        plate = ((200, 44, 40), (36, 80, 160), (226, 226, 220), (214, 180, 40))[rng.integers(4)]
        if rng.random() < 0.5:
            canvas.ellipse((x, height, z), (0.36, 0.36), plate, POLE)
        else:
            canvas.upright(x, z, (0.6, 0.6), plate, POLE, base=height - 0.3)


def _draw_vehicle(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    """A box with a cabin; its near end faces the camera, one flank shows beside it."""
    width, height, length = thing.size
    rng = np.random.default_rng(thing.seed)
    canvas.ellipse((x, 0.05, z), (width * 0.6, 0.2), shade(scene.road_colour, 0.4), None)
    waist = height * (0.58 if thing.kind == "car" else 0.5)
    flank = x - width / 2 if x > canvas.camera.x else x + width / 2
    roof = 0.8 if thing.kind == "car" else 0.96
    inset = length * (0.18 if thing.kind == "car" else 0.02)
    body = rectangle(x, z, (width, waist - 0.25), base=0.25)
    cabin = rectangle(x, z + inset, (width * roof, height - waist), base=waist)
    canvas.halo(rectangle(x, z, (width, height)))
    edge = [
        (flank, 0.25, z),
        (flank, 0.25, z + length),
        (flank, waist, z + length),
        (flank, waist, z),
    ]
    inner = x + (flank - x) * roof
    glass_edge = [
        (inner, waist, z + inset),
        (inner, waist, z + length * 0.9),
        (inner, height, z + length * 0.8),
        (inner, height, z + inset),
    ]
    glass = mix((34, 38, 46), scene.sky[0], rng.uniform(0.05, 0.5))
    canvas.polygon(edge, shade(thing.colour, 0.72), CAR)
    _draw_lid(canvas, x, (z, z + length), width, waist, shade(thing.colour, 1.1))
    canvas.polygon(glass_edge, glass, CAR)
    ends = z + inset, z + length * 0.8
    _draw_lid(canvas, x, ends, width * roof, height, shade(thing.colour, 1.1))
    canvas.polygon(cabin, thing.colour, CAR)
    canvas.polygon(
        rectangle(x, z + inset, (width * roof * 0.86, (height - waist) * 0.74), waist), glass
    )
    for offset in (-0.36, 0.36):
        canvas.upright(x + offset * width, z, (0.24, 0.34), (26, 26, 28), CAR)
    canvas.polygon(body, thing.colour, CAR)
    lamps = (220, 40, 36) if rng.random() < 0.5 else (244, 240, 214)
    for offset in (-0.4, 0.4):
        canvas.upright(x + offset * width, z, (0.26, 0.16), lamps, base=waist * 0.7)


def _draw_lid(
    canvas: Canvas, x: Number, ends: tuple[Number, Number], width: Number, y: Number, colour: Colour
) -> None:
    """A level part of a vehicle, bonnet or roof; whoever stands lower does not see it."""
    if canvas.camera.y > y:
        left, right, (near, far) = x - width / 2, x + width / 2, ends
        corners = [(left, y, near), (right, y, near), (right, y, far), (left, y, far)]
        canvas.polygon(corners, colour, CAR)


def _draw_pedestrian(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    width, height, _ = thing.size
    rng = np.random.default_rng(thing.seed)
    legs, skin = (
        mix(thing.colour, (40, 42, 54), 0.8),
        mix((226, 182, 150), (92, 62, 46), rng.random()),
    )
    stride = rng.uniform(0.1, 0.5) * width
    canvas.ellipse((x, 0.02, z), (width * 0.8, 0.08), shade(scene.pavement_colour, 0.5), None)
    canvas.halo(rectangle(x, z, (width, height)))
    for step in (-stride, stride):
        canvas.upright(x + step, z, (width * 0.34, height * 0.5), legs, PEDESTRIAN)
    canvas.upright(x, z, (width, height * 0.42), thing.colour, PEDESTRIAN, base=height * 0.44)
    canvas.ellipse((x, height * 0.93, z), (height * 0.065, height * 0.08), skin, PEDESTRIAN)


def _draw_clutter(canvas: Canvas, thing: Thing, x: Number, z: Number, scene: Scene) -> None:
    """Bins and boxes: of no class, as every real data set has them."""
    canvas.upright(x, z, thing.size[:2], thing.colour, IGNORE)


_DRAW: dict[str, Callable[[Canvas, Thing, Number, Number, Scene], None]] = {
    "building": _draw_building,
    "tree": _draw_tree,
    "pole": _draw_pole,
    "car": _draw_vehicle,
    "van": _draw_vehicle,
    "bus": _draw_vehicle,
    "pedestrian": _draw_pedestrian,
    "clutter": _draw_clutter,
}
