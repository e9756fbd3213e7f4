"""labelme: every kind of shape, where pictures are, and pictures that EXIF turns."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from afdcd.config import UserError
from afdcd.data.catalog.labels import View
from afdcd.data.images import PictureError, encode_png
from afdcd.data.own.drawings import label as drawings_label
from afdcd.data.own.drawings.labelme import LabelmeShapes
from afdcd.data.own.forms import labelme
from afdcd.data.own.forms.labelme import find_labelme
from afdcd.data.own.found import UNCOVERED, Found, Hints
from afdcd.data.own.tree import Tree
from afdcd.data.places import Written, read
from tests.data.own.drawn_sets import found, ids, names, picture, pixels, table, write

SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]


def shape(label: Any, points: Any, kind: Any = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind} | more


def labelled(*shapes: Any, name: Any = "a.jpg", size: Any = (6, 8), **more: Any) -> dict[str, Any]:
    height, width = size
    sizes = {"imageHeight": height, "imageWidth": width}
    return (
        {"version": "6", "shapes": [*shapes], "imagePath": name, "imageData": None} | sizes | more
    )


def _one(root: Path, *shapes: Any) -> tuple[Found, dict[str, int]]:
    result = found(find_labelme, write(root, {"a.jpg": None, "a.json": labelled(*shapes)}))
    return result, pixels(root, result, result.items[0])


def test_labels_are_sorted_behind_background(tmp_path: Path) -> None:
    result, counts = _one(
        tmp_path, shape("tree", SQUARE), shape("car", [[4, 0], [8, 0], [8, 1], [4, 1]])
    )
    assert names(result) == ["background", "car", "tree"]
    assert counts == {"background": 40, "car": 4, "tree": 4, "ignored": 0}
    assert result.items[0].split is None


def test_labels_txt_says_the_order_and_what_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, {"labels.txt": "__ignore__\n_background_\ntree\ncar\n"})
    result, counts = _one(
        tmp_path, shape("tree", SQUARE), shape("__ignore__", [[0, 0], [7, 0]], "rectangle")
    )
    assert names(result) == ["_background_", "tree", "car"]
    assert result.said.source == "labels.txt"
    assert counts == {"_background_": 38, "tree": 2, "car": 0, "ignored": 8}


def test_a_shape_of_background_uncovers(tmp_path: Path) -> None:
    cover = shape("car", [[0, 0], [8, 0], [8, 6], [0, 6]])
    result, counts = _one(tmp_path, cover, shape("_background_", SQUARE))
    assert names(result) == ["_background_", "car"]
    assert counts == {"_background_": 4, "car": 44, "ignored": 0}


@pytest.mark.parametrize(
    ("kind", "points", "area"),
    [
        ("polygon", SQUARE, 4),
        (None, SQUARE, 4),  # early versions
        ("oriented_rectangle", SQUARE, 4),
        ("rectangle", [[1, 1], [3, 2]], 6),  # both corners are pixels of it
        ("rectangle", [[3, 2], [1, 1]], 6),
        ("rectangle", SQUARE, 4),
        ("circle", [[4, 3], [4, 5]], 12),
    ],
)
def test_kinds_of_shapes(tmp_path: Path, kind: Any, points: Any, area: int) -> None:
    assert _one(tmp_path, shape("car", points, kind))[1]["car"] == area


def test_a_mask_lies_at_its_box_with_inclusive_corners(tmp_path: Path) -> None:
    mask = np.array([[1, 0, 1], [0, 1, 1]], dtype=np.uint8)
    text = base64.b64encode(encode_png(mask)).decode()
    result, _ = _one(tmp_path, shape("car", [[4, 2], [6, 3]], "mask", mask=text))
    drawn = ids(tmp_path, result, result.items[0])
    np.testing.assert_array_equal(drawn[2:4, 4:7], mask)
    assert drawn.sum() == 4
    with pytest.raises(PictureError, match="a mask of 3x2 pixels in a box of 4x2"):
        _one(tmp_path, shape("car", [[4, 2], [7, 3]], "mask", mask=text))


def test_later_shapes_lie_over_earlier_ones(tmp_path: Path) -> None:
    _, counts = _one(tmp_path, shape("car", SQUARE), shape("tree", SQUARE))
    assert counts == {"background": 44, "car": 0, "tree": 4, "ignored": 0}


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
def test_shapes_without_an_area_are_left_out_with_a_remark(tmp_path: Path, kind: str) -> None:
    result, counts = _one(tmp_path, shape("car", SQUARE), shape("pole", [[1, 1], [5, 5]], kind))
    assert counts["car"] == 4
    assert names(result) == ["background", "car"]
    assert result.refused == ()
    assert result.remarks == (f"a.json: shapes[1] (pole): a {kind} has no area: left out",)
    thin = labelled(*[shape("car", [[1, 1]], kind)] * 3, name="b.jpg")
    result = found(find_labelme, write(tmp_path, {"b.jpg": None, "b.json": thin}))
    assert result.remarks == (
        f"4 times, e.g. a.json: shapes[1] (pole): a {kind} has no area: left out",
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (shape("car", [[0, 0], [1, 1]]), "a polygon of 2 points"),
        (shape("car", [[0, 0], [1, 1], [float("nan"), 2]]), "infinite or no numbers"),
        (shape("car", [[0, 0], [1, 1], ["3", 2]]), "no numbers"),
        (shape("car", [[0, 0], [1], [2, 2]]), "no numbers"),
        (shape("car", None), "no numbers"),
        (shape("car", [[0, 0]], "circle"), "a circle of 1 points"),
        (shape("car", [[0, 0], [1, 1]], "mask"), "a mask without its picture"),
        (shape("car", SQUARE, "star"), "unknown type 'star'"),
        (shape("car", SQUARE, ["star"]), "unknown type"),
    ],
)
def test_what_cannot_be_drawn_costs_one_shape(tmp_path: Path, bad: Any, reason: str) -> None:
    result, counts = _one(tmp_path, shape("car", SQUARE), bad)
    assert counts["car"] == 4
    (line,) = result.refused
    assert line.startswith("a.json: shapes[1] (car): ")
    assert reason in line


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (labelled(shape(None, SQUARE), name="b.jpg"), "shapes[0] has no label"),
        (labelled("x", name="b.jpg"), "shapes[0] has no label"),
        (labelled(name=None), "imagePath is no text"),
        (labelled(name="gone.jpg"), "gone.jpg: no such picture"),
        (labelled(name="../../etc/passwd"), "imagePath ../../etc/passwd: leads out"),
        (labelled(name="..\\..\\secret.jpg"), "leads out"),
        (labelled(name="/etc/passwd"), "an absolute path"),
        (labelled(name="D:\\b.jpg"), "an absolute path"),
        (labelled(name="https://example.org/b.jpg"), "an address"),
        (labelled(name="gone.jpg", imageData="%%"), "no base64"),
        ('{"shapes": 1, "imagePath": "b.jpg"}', "no list of shapes"),
        ('{"x": {"shapes": [], "imagePath": "b.jpg"}}', "no labelme file"),
        ('["shapes", "imagePath"]', "no labelme file"),
        ('{"shapes": [], "imagePath":', "no JSON"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_alone(
    tmp_path: Path, content: Any, reason: str
) -> None:
    write(tmp_path, {"sub/b.jpg": None, "sub/b.json": content})
    result, _ = _one(tmp_path, shape("car", SQUARE))
    assert len(result.items) == 1
    (line,) = result.refused
    assert line.startswith("sub/b.json: ")
    assert reason in line
    assert result.unlisted == ("sub/b.jpg",)


def test_a_label_that_labels_txt_lacks_refuses_its_file(tmp_path: Path) -> None:
    write(tmp_path, {"labels.txt": "car\n", "b.jpg": None})
    write(tmp_path, {"b.json": labelled(shape("bus", SQUARE), name="b.jpg")})
    result, _ = _one(tmp_path, shape("car", SQUARE))
    assert result.refused == ("b.json: label 'bus' is not in labels.txt: add it there",)


def test_a_label_twice_in_labels_txt(tmp_path: Path) -> None:
    write(tmp_path, {"labels.txt": "car\ntree\ncar\n"})
    with pytest.raises(UserError, match=r"labels\.txt: 'car' stands twice; keep one"):
        _one(tmp_path)


@pytest.mark.parametrize(
    ("json", "name", "image"),
    [
        ("a.json", "b.jpg", "b.jpg"),  # another stem
        ("ann/a.json", "../pictures/b.jpg", "pictures/b.jpg"),
        ("ann/a.json", "..\\pictures\\b.jpg", "pictures/b.jpg"),
        ("ann/a.json", ".\\b.jpg", "ann/b.jpg"),
    ],
)
def test_image_paths_count_from_the_json(tmp_path: Path, json: str, name: str, image: str) -> None:
    result = found(find_labelme, write(tmp_path, {image: None, json: labelled(name=name)}))
    assert result.items[0].image == image
    assert result.items[0].key == "b"


def test_a_picture_of_that_name_at_the_root_is_another_one(tmp_path: Path) -> None:
    files = {"a.jpg": None, "a.json": labelled(), "sub/a.json": labelled()}
    result = found(find_labelme, write(tmp_path, files))
    assert len(result.items) == 1
    assert result.refused == (
        "sub/a.json: a.jpg: no such picture: put it there, or correct imagePath",
    )


def test_the_picture_may_stand_in_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_png(np.zeros((6, 8, 3), np.uint8))
    content = labelled(shape("car", SQUARE), imageData=base64.b64encode(data).decode())
    result = found(find_labelme, write(tmp_path, {"sub/x.json": content}))
    (item,) = result.items
    assert item.key == "x"
    assert isinstance(item.image, Written)
    assert str(item.image) == "sub/x.json: imageData"
    assert pixels(tmp_path, result, item)["car"] == 4
    write(tmp_path, {"sub/a.jpg": None})  # the file, where there is one
    assert found(find_labelme, tmp_path).items[0].image == "sub/a.jpg"
    (tmp_path / "sub/a.jpg").unlink()
    monkeypatch.setattr(labelme, "MOST_EMBEDDED", 10)
    with pytest.raises(UserError, match=r"more than 10 B of pictures inside JSON.*beside"):
        find_labelme(Tree.of(tmp_path), Hints())


def test_two_files_for_one_picture(tmp_path: Path) -> None:
    files = {"a.jpg": None, "b.jpg": None, "a.json": labelled(), "z.json": labelled()}
    result = found(find_labelme, write(tmp_path, files | {"b.json": labelled(name="b.jpg")}))
    assert [item.key for item in result.items] == ["b"]
    assert result.refused == ("a.jpg: named twice (a.json and z.json): keep one",)


def test_nothing_left_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"a\.json: a\.jpg: no such picture(.|\n)*no picture of labelme"
    ):
        find_labelme(Tree.of(write(tmp_path, {"a.json": labelled()})), Hints())


@pytest.mark.parametrize("turn", [5, 6, 7, 8])
def test_shapes_of_the_turned_view_are_turned_back(tmp_path: Path, turn: int) -> None:
    """The oracle is what a viewer shows: Pillow turns the drawn map as it turns the picture."""
    shapes = [shape("car", [[0, 0], [3, 0], [3, 7]]), shape("tree", [[4, 6], [5, 7]], "rectangle")]
    content = labelled(*shapes, size=(8, 6))  # as seen; stored are 6 rows of 8
    result = found(
        find_labelme, write(tmp_path, {"a.jpg": picture((6, 8), turn), "a.json": content})
    )
    drawn = ids(tmp_path, result, result.items[0], turn)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[274] = turn
    Image.fromarray(drawn).save(stream, "PNG", exif=exif)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(stream)))
    data = read(tmp_path, result.items[0].label or "")
    expected = LabelmeShapes(table(result)).draw(data, View(8, 6))
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize(("size", "turn"), [((6, 8), 6), ((6, 8), 3), ((None, None), 1)])
def test_shapes_of_the_stored_view_stay(tmp_path: Path, size: Any, turn: int) -> None:
    content = labelled(shape("car", SQUARE), size=size)
    result = found(find_labelme, write(tmp_path, {"a.jpg": picture(turn=turn), "a.json": content}))
    assert (ids(tmp_path, result, result.items[0], turn)[:2, :2] == 1).all()


@pytest.mark.parametrize(("size", "turn"), [((8, 6), 1), ((8, 6), 3), ((12, 16), 6), (("6", 8), 1)])
def test_other_sizes_refuse_the_image(tmp_path: Path, size: Any, turn: int) -> None:
    content = labelled(shape("car", SQUARE), size=size)
    result = found(find_labelme, write(tmp_path, {"a.jpg": picture(turn=turn), "a.json": content}))
    with pytest.raises(PictureError, match=f"annotated at {size[1]}x{size[0]} .* has 8x6"):
        ids(tmp_path, result, result.items[0], turn)


def test_other_json_is_not_labelmes(tmp_path: Path) -> None:
    write(tmp_path, {"a.json": {"shapes": []}, "b.json": {"images": []}, "c.txt": "shapes"})
    assert find_labelme(Tree.of(tmp_path), Hints()) is None


def test_too_much_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings_label, "MOST_SHAPES", 3)
    data = b'{"shapes": [1, 2, 3, 4]}'
    with pytest.raises(PictureError, match="4 areas in one picture, at most 3"):
        LabelmeShapes({UNCOVERED: 0}).draw(data, View(6, 8))
    monkeypatch.setattr(drawings_label, "_LARGEST", 10)
    with pytest.raises(PictureError, match="24 B of annotations"):
        LabelmeShapes({UNCOVERED: 0}).draw(data, View(6, 8))
