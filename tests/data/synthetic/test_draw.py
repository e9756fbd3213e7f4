"""What stands in a rendered street has a body: nothing of another class shows through it."""

import numpy as np
import pytest

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.synthetic.canvas import Camera, Canvas
from afdcd.data.synthetic.draw import _DRAW, CAR, ROAD
from afdcd.data.synthetic.plan import Scene, Thing

SIZE = 144, 192
GREY, SKY = (96, 96, 100), (64, 120, 200)


@pytest.mark.parametrize("x", [-3.0, 0.2, 3.0])
@pytest.mark.parametrize(
    ("kind", "size"), [("car", (1.8, 1.45, 4.2)), ("van", (2.0, 2.2, 5.0)), ("bus", (2.5, 3.1, 10))]
)
def test_no_road_shows_through_a_vehicle_below_the_camera(
    kind: str, size: tuple[float, float, float], x: float
) -> None:
    camera = Camera(focal=150, centre=96, horizon=60, x=0, y=2.0, z=0)
    canvas = Canvas(*SIZE, camera, SKY, density=0.0)
    canvas.flat([(0, 0), (192, 0), (192, 144), (0, 144)], GREY, ROAD)
    scene = Scene(4.0, 3.0, GREY, GREY, (SKY, SKY), haze=0.0, sun=1.0, crossing=100.0)
    _DRAW[kind](canvas, Thing(kind, x, 6.0, size, GREY), x, 6.0, scene)
    bottom = int(camera.pixel((x, 0.25, 6.0))[1]) - 1  # below it the wheels stand on the road
    label = canvas.label()[:bottom]
    for column in label.T[(label == CAR).any(axis=0)]:
        body = np.flatnonzero(column == CAR)
        assert set(column[body[0] : body[-1]]) <= {CAR, IGNORE}
