"""COCO instance JSON: every rule and every trap of an export."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.data.catalog.labels import Drawing, View
from afdcd.data.images import PictureError
from afdcd.data.own import tree
from afdcd.data.own.drawings import coco as drawings_coco
from afdcd.data.own.drawings import label as drawings_label
from afdcd.data.own.drawings.coco import CocoAreas
from afdcd.data.own.drawings.labelme import LabelmeShapes
from afdcd.data.own.drawings.yolo import YoloAreas
from afdcd.data.own.forms import coco_json
from afdcd.data.own.forms.coco_json import find_coco
from afdcd.data.own.found import UNCOVERED, Found, Hints, Table
from afdcd.data.own.tree import Tree
from afdcd.data.places import Written, read
from tests.data.own.drawn_sets import found, ids, names, picture, pixels, table, write

CAR, TREE = 7, 3
CATEGORIES = [{"id": CAR, "name": "car"}, {"id": TREE, "name": "tree"}]


def box(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def area(image: Any, category: Any, *outlines: list[float], **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": [*outlines], **more}


def image(number: Any, name: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 8, "height": 6} | more


def coco(images: list[Any], annotations: list[Any], categories: Any = None) -> dict[str, Any]:
    return {
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES if categories is None else categories,
    }


ONE = [area(1, CAR, box(0, 0, 2, 2))]


def _one(root: Path, annotations: list[Any], **more: Any) -> tuple[Found, dict[str, int]]:
    content = coco([image(1, "a.jpg")], annotations, **more)
    write(root, {"a.jpg": None, "x.json": content})
    result = found(find_coco, root)
    return result, pixels(root, result, result.items[0])


def test_classes_are_sorted_by_id_behind_background(tmp_path: Path) -> None:
    result, counts = _one(tmp_path, ONE)
    assert names(result) == ["background", "tree", "car"]
    assert result.said.source == "x.json"
    assert counts == {"background": 44, "tree": 0, "car": 4, "ignored": 0}
    assert (result.refused, result.remarks, result.unlisted) == ((), (), ())


@pytest.mark.parametrize("word", ["background", "Background", "_background_", "__background__"])
def test_a_category_of_that_name_is_the_background(tmp_path: Path, word: str) -> None:
    categories = [*CATEGORIES, {"id": 5, "name": word}]
    annotations = [*ONE, area(1, 5, box(0, 0, 1, 1))]
    result, counts = _one(tmp_path, annotations, categories=categories)
    assert names(result) == ["tree", word, "car"]
    assert counts == {"tree": 0, word: 45, "car": 3, "ignored": 0}


def test_later_annotations_lie_over_earlier_ones_and_outlines_are_joined(tmp_path: Path) -> None:
    first = area(1, CAR, box(0, 0, 4, 4), box(2, 2, 6, 6))  # a union, no hole where both are
    _, counts = _one(tmp_path, [first, area(1, TREE, box(0, 0, 4, 1))])
    assert counts == {"background": 48 - 28, "tree": 4, "car": 24, "ignored": 0}


def test_rle_in_all_its_writings(tmp_path: Path) -> None:
    """Column by column, zeros first; a crowd is an area of its class."""
    whole = {"size": [6, 8], "counts": [6, 6, 1, 4, 31]}  # column 1, and rows 1 to 4 of column 2
    text = {"size": [6, 8], "counts": "661Nn0"}
    for segmentation in (whole, text):
        annotation = area(1, CAR, iscrowd=1) | {"segmentation": segmentation}
        result, counts = _one(tmp_path, [annotation])
        assert counts["car"] == 10
        drawn = ids(tmp_path, result, result.items[0])
        assert (drawn[:, 1] == 2).all()
        assert drawn[:, 2].tolist() == [0, 2, 2, 2, 2, 0]


def test_a_flat_list_is_one_outline(tmp_path: Path) -> None:
    annotation = area(1, CAR) | {"segmentation": box(0, 0, 2, 3)}
    assert _one(tmp_path, [annotation])[1]["car"] == 6


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([[0, 0, 5, 5]], "fewer than 3 points"),
        ([[0, 0, 5, 5, 1]], "odd number"),
        ([[0, 0, 5, float("nan"), 1, 1]], "infinite or no numbers"),
        ([[0, 0, 5, float("inf"), 1, 1]], "infinite or no numbers"),
        ([[0, 0, 5, 1e12, 1, 1]], "infinite or no numbers"),
        ([[0, 0, "5", 3, 1, 1]], "no numbers"),
        ([[0, 0, None, 3, 1, 1]], "no numbers"),
        ([[10**400, 0, 1, 3, 1, 1]], "no numbers"),
        ([{"x": 1}], "no numbers"),
        ([], "no outline"),
        (None, "no outline"),
    ],
)
def test_what_cannot_be_drawn_costs_one_annotation(tmp_path: Path, bad: Any, reason: str) -> None:
    annotation = area(1, TREE, id=12) | {"segmentation": bad}
    result, counts = _one(tmp_path, [*ONE, annotation])
    assert counts["car"] == 4
    (line,) = result.refused
    assert line.startswith("x.json: annotation 12: ")
    assert reason in line
    assert line.count(": ") >= 3  # file, entry, reason, remedy


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        ({}, "RLE without its size"),
        ({"size": [6, True], "counts": [48]}, "RLE without its size"),
        ({"size": [6, 8]}, "RLE without counts"),
        ({"size": [6, 8], "counts": [1.5, 2]}, "RLE with impossible counts"),
        ({"size": [6, 8], "counts": [-1, 49]}, "RLE with impossible counts"),
        ({"size": [6, 8], "counts": [10**30]}, "RLE with impossible counts"),
        ({"size": [6, 8], "counts": [1] * 48}, "RLE of 48 counts, at most 40 are drawn"),
    ],
)
def test_rle_that_is_none_costs_its_image(
    tmp_path: Path, rle: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings_coco, "MOST_RUNS", 40)
    content = coco([image(1, "a.jpg"), image(2, "b.jpg")], [area(1, CAR) | {"segmentation": rle}])
    result = found(find_coco, write(tmp_path, {"a.jpg": None, "b.jpg": None, "x.json": content}))
    assert [item.key for item in result.items] == ["b"]
    assert f"x.json: annotations[0]: {reason}; its image is left out" in result.refused[0]


def test_a_good_outline_beside_a_bad_one_is_drawn(tmp_path: Path) -> None:
    result, counts = _one(tmp_path, [area(1, CAR, [0, 0, 1, 1], box(0, 0, 2, 2))])
    assert counts["car"] == 4
    assert len(result.refused) == 1


def test_boxes_without_outlines_are_counted(tmp_path: Path) -> None:
    boxes = [{"id": n, "image_id": 1, "category_id": CAR, "bbox": [0, 0, 2, 2]} for n in range(5)]
    result, _ = _one(tmp_path, [*ONE, *boxes])
    assert result.refused == (
        "x.json: 5 entries, e.g. annotation 0: no outline: a box alone has no pixels; export polygons",
    )
    with pytest.raises(UserError, match=r"5 annotations, none with an outline.*export polygons"):
        _one(tmp_path, boxes)


def test_an_area_of_no_category_costs_its_image(tmp_path: Path) -> None:
    """Left out alone, its pixels would be trained on as background."""
    for category in (99, None, "7", True, [CAR]):
        content = coco(
            [image(1, "a.jpg"), image(2, "b.jpg")], [area(1, category, box(0, 0, 2, 2), id=4)]
        )
        write(tmp_path, {"a.jpg": None, "b.jpg": None, "x.json": content})
        result = found(find_coco, tmp_path)
        assert [item.key for item in result.items] == ["b"]
        assert "annotation 4: of a category that is not listed" in result.refused[0]


def test_annotations_of_unknown_images_are_told(tmp_path: Path) -> None:
    result, _ = _one(tmp_path, [*ONE, area(9, CAR, box(0, 0, 1, 1), id=5), {"id": 6}, "nonsense"])
    assert len(result.refused) == 2
    assert "annotation 5: its image_id is not among the images" in result.refused[0]
    assert "2 entries" in result.refused[1]


def test_roboflows_project_is_no_class(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "parking", "supercategory": "none"},
        {"id": 1, "name": "car", "supercategory": "parking"},
    ]
    name = "a_jpg.rf.0123456789abcdef0123456789abcdef.jpg"
    files: dict[str, Any] = {}
    for split in ("train", "valid", "test"):
        annotations = [area(0, 1, box(0, 0, 2, 2))] if split == "train" else []
        content = coco([image(0, f"{split}-{name}")], annotations, categories)
        files |= {f"{split}/_annotations.coco.json": content, f"{split}/{split}-{name}": None}
    result = found(find_coco, write(tmp_path, files))
    assert names(result) == ["background", "car"]
    assert [item.split for item in result.items] == ["test", "train", "val"]
    assert "'parking'" in result.remarks[0]
    # With an annotation of its own it is a class like others.
    files["test/_annotations.coco.json"]["annotations"] = [area(0, 0, box(0, 0, 1, 1))]
    assert names(found(find_coco, write(tmp_path, files))) == ["background", "parking", "car"]


def test_category_zero_of_other_tools_stays(tmp_path: Path) -> None:
    result, _ = _one(tmp_path, [], categories=[{"id": 0, "name": "road"}, {"id": 1, "name": "car"}])
    assert names(result) == ["background", "road", "car"]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("annotations/instances_val2017.json", "val"),
        ("annotations/test-dev.json", "test"),
        ("Training/result.json", "train"),
        ("annotations/instances_default.json", None),
    ],
)
def test_the_name_of_the_json_says_the_split(tmp_path: Path, file: str, split: str | None) -> None:
    write(tmp_path, {"pictures/a.jpg": None, file: coco([image(1, "a.jpg")], ONE)})
    assert found(find_coco, tmp_path).items[0].split == split


def test_folders_of_pictures_say_the_split_where_the_json_does_not(tmp_path: Path) -> None:
    images = [image(1, "train/a.jpg"), image(2, "val/a.jpg")]
    files = {"images/train/a.jpg": None, "images/val/a.jpg": None, "all.json": coco(images, [])}
    result = found(find_coco, write(tmp_path, files))
    assert [(item.key, item.split) for item in result.items] == [
        ("train/a", "train"),
        ("val/a", "val"),
    ]


def test_names_that_begin_anew_in_each_split(tmp_path: Path) -> None:
    """`0.jpg` of val must never be paired with the annotations of train's."""
    files: dict[str, Any] = {
        "images/train/0.jpg": None,
        "images/val/0.jpg": None,
        "images/train/1.jpg": None,
        "annotations/train.json": coco([image(1, "0.jpg")], ONE),
        "annotations/val.json": coco([image(1, "0.jpg"), image(2, "1.jpg")], []),
    }
    result = found(find_coco, write(tmp_path, files))
    places = {item.split: item.image for item in result.items}
    assert places == {"train": "images/train/0.jpg", "val": "images/val/0.jpg"}
    assert "image 2 (1.jpg): no such picture" in result.refused[0]
    assert result.unlisted == ("images/train/1.jpg",)


@pytest.mark.parametrize(
    "name", ["sub/a.jpg", "sub\\a.jpg", "./sub/a.jpg", "other/a.jpg", "a.jpg", "images/sub/a.jpg"]
)
def test_file_names_with_folders(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"images/sub/a.jpg": None, "ann/x.json": coco([image(1, name)], ONE)})
    assert found(find_coco, tmp_path).items[0].image == "images/sub/a.jpg"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/passwd", "leads out"),
        ("..\\..\\secret.jpg", "leads out"),
        ("/etc/passwd", "an absolute path"),
        ("C:\\photos\\b.jpg", "an absolute path"),
        ("https://example.org/b.jpg", "an address"),
        ("gone.jpg", "no such picture"),
        ("twin.jpg", "several pictures"),
    ],
)
def test_an_entry_that_names_no_picture_is_refused_alone(
    tmp_path: Path, name: str, reason: str
) -> None:
    content = coco([image(1, "a.jpg"), image(2, name)], ONE)
    write(
        tmp_path, {"p/a.jpg": None, "p/1/twin.jpg": None, "p/2/twin.jpg": None, "x.json": content}
    )
    result = found(find_coco, tmp_path)
    assert [item.key for item in result.items] == ["a"]
    assert len(result.refused) == 1
    assert f"x.json: image 2 ({name}): {reason}" in result.refused[0]


def test_a_picture_that_is_listed_twice_is_left_out(tmp_path: Path) -> None:
    images = [image(1, "a.jpg"), image(2, "a.jpg"), image(3, "b.jpg"), image(4, "c.jpg")]
    files = {f"{name}.jpg": None for name in "abc"} | {
        "train.json": coco(images, ONE),
        "val.json": coco([image(1, "b.jpg")], []),
    }
    result = found(find_coco, write(tmp_path, files))
    assert [item.key for item in result.items] == ["c"]
    assert "train.json: image 1 (a.jpg) and train.json: image 2 (a.jpg)" in result.refused[0]
    assert "train.json: image 3 (b.jpg) and val.json: image 1 (b.jpg)" in result.refused[1]


def test_pictures_of_one_stem_are_left_out(tmp_path: Path) -> None:
    content = coco([image(1, "a.jpg"), image(2, "a.png"), image(3, "b.jpg")], [])
    result = found(
        find_coco, write(tmp_path, {"a.jpg": None, "a.png": None, "b.jpg": None, "x.json": content})
    )
    assert [item.key for item in result.items] == ["b"]
    assert "a.jpg and a.png" in result.refused[0]


def test_one_id_for_two_images(tmp_path: Path) -> None:
    content = coco([image(1, "a.jpg"), image(1, "b.jpg"), image(2, "c.jpg")], ONE)
    files = {f"{name}.jpg": None for name in "abc"} | {"x.json": content}
    result = found(find_coco, write(tmp_path, files))
    assert [item.key for item in result.items] == ["c"]
    assert "2 entries, e.g. image 1: one id for several images" in result.refused[0]


@pytest.mark.parametrize(("size", "turn"), [((8, 6), 1), ((8, 6), 6), ((5, 5), 1)])
def test_sizes_that_disagree_refuse_the_image(
    tmp_path: Path, size: tuple[int, int], turn: int
) -> None:
    write(tmp_path, {"a.jpg": picture(size, turn), "x.json": coco([image(1, "a.jpg")], ONE)})
    result = found(find_coco, tmp_path)
    with pytest.raises(PictureError) as error:
        ids(tmp_path, result, result.items[0], turn)
    assert "8x6" in str(error.value)
    assert f"{size[1]}x{size[0]}" in str(error.value)
    assert ("EXIF orientation 6" in str(error.value)) == (turn == 6)


def test_rle_of_another_size_refuses_the_image(tmp_path: Path) -> None:
    annotation = area(1, CAR) | {"segmentation": {"size": [8, 6], "counts": [0, 48]}}
    with pytest.raises(PictureError, match="RLE of 6x8 pixels, its image has 8x6"):
        _one(tmp_path, [annotation])


def test_images_without_sizes_are_drawn(tmp_path: Path) -> None:
    content = coco([{"id": "x", "file_name": "a.jpg"}], [area("x", CAR, box(0, 0, 2, 2))])
    write(tmp_path, {"a.jpg": None, "x.json": content})
    result = found(find_coco, tmp_path)
    assert pixels(tmp_path, result, result.items[0])["car"] == 4


def test_panoptic_is_refused_with_a_way_round(tmp_path: Path) -> None:
    panoptic = coco([image(1, "a.jpg")], [{"image_id": 1, "segments_info": []}])
    write(tmp_path, {"a.jpg": None, "panoptic.json": panoptic})
    with pytest.raises(UserError, match=r"panoptic\.json: panoptic COCO .*; export instances"):
        find_coco(Tree.of(tmp_path), Hints())
    write(tmp_path, {"instances.json": coco([image(1, "a.jpg")], ONE)})
    result = found(find_coco, tmp_path)
    assert len(result.items) == 1
    assert "panoptic.json" in result.refused[0]


@pytest.mark.parametrize(
    "categories",
    [
        [{"id": 1}],
        [{"name": "car"}],
        ["car"],
        [{"id": "1", "name": "car"}],
        [{"id": 1, "name": []}],
    ],
)
def test_categories_that_say_nothing_are_an_error(tmp_path: Path, categories: Any) -> None:
    with pytest.raises(UserError, match=r"x\.json: categories\[0\]: .*; export it again"):
        _one(tmp_path, ONE, categories=categories)


def test_names_are_words_whatever_they_look_like(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": 1}, {"id": 2, "name": True}, {"id": 3, "name": "no"}]
    result, _ = _one(tmp_path, [], categories=categories)
    assert names(result) == ["background", "1", "true", "no"]


def test_files_must_agree_on_their_categories(tmp_path: Path) -> None:
    files = {
        "a.jpg": None,
        "train.json": coco([image(1, "a.jpg")], []),
        "val.json": coco([], [], [{"id": CAR, "name": "bus"}]),
    }
    with pytest.raises(UserError, match=r"val\.json: category 7 is 'bus' here and 'car' before"):
        find_coco(Tree.of(write(tmp_path, files)), Hints())


def test_nothing_left_says_why(tmp_path: Path) -> None:
    write(tmp_path, {"b.jpg": None, "x.json": coco([image(1, "a.jpg")], [])})
    with pytest.raises(UserError, match=r"image 1 \(a\.jpg\): no such picture(.|\n)*file_name"):
        find_coco(Tree.of(tmp_path), Hints())


def test_other_json_is_not_cocos(tmp_path: Path) -> None:
    base = {"images": {}, "annotations": [], "categories": []}
    labelme = {"shapes": [], "images": [], "annotations": [], "categories": []}
    write(tmp_path, {"a.json": base, "b.json": labelme, "c.json": {"images": []}, "d.txt": "{}"})
    assert find_coco(Tree.of(tmp_path), Hints()) is None


def test_json_that_was_cut_off_is_named(tmp_path: Path) -> None:
    text = json.dumps(coco([image(1, "a.jpg")], ONE))
    write(
        tmp_path,
        {"instances_val.json": text[: text.index('"categories"') - 9], "images/a.jpg": None},
    )
    with pytest.raises(UserError, match=r"instances_val\.json: no JSON.*export it again"):
        find_coco(Tree.of(tmp_path), Hints())


def test_broken_json_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"x.json": '{"images": [], "annotations": [], "categories": ['})
    with pytest.raises(UserError, match=r"x\.json: no JSON"):
        find_coco(Tree.of(tmp_path), Hints())
    write(tmp_path, {"x.json": '{"images": [], "annotations": [], "categories": ' + "[" * 100_000})
    with pytest.raises(UserError, match=r"x\.json: no JSON"):
        find_coco(Tree.of(tmp_path), Hints())


def test_json_of_gigabytes_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.jpg": None, "x.json": coco([image(1, "a.jpg")], ONE)})
    monkeypatch.setattr(coco_json, "LARGEST_JSON", 100)
    monkeypatch.setattr(tree, "LARGEST_JSON", 100)
    with pytest.raises(UserError, match=r"x\.json: \d+ B, at most 100 B are read; split it"):
        find_coco(Tree.of(tmp_path), Hints())


def test_too_many_areas_are_refused_with_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings_label, "MOST_SHAPES", 3)
    with pytest.raises(PictureError, match="4 areas in one picture, at most 3"):
        _one(tmp_path, ONE * 4)
    monkeypatch.setattr(drawings_label, "_LARGEST", 30)
    with pytest.raises(PictureError, match="of annotations for one picture, at most 30 B"):
        _one(tmp_path, ONE)


def test_a_class_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    result, _ = _one(tmp_path, ONE)
    data = read(tmp_path, result.items[0].label or "")
    assert result.encoding is not None
    with pytest.raises(PictureError, match="an area of 7, which is no class"):
        result.encoding({UNCOVERED: 0}).draw(data, View(6, 8))


def test_labels_name_the_entry_that_a_person_would_open(tmp_path: Path) -> None:
    result, _ = _one(tmp_path, ONE)
    label = result.items[0].label
    assert isinstance(label, Written)
    assert str(label) == "x.json: image 1 (a.jpg)"
    assert json.loads(label.data)["areas"] == [[CAR, [box(0, 0, 2, 2)]]]
    assert table(result) == {UNCOVERED: 0, TREE: 1, CAR: 2}


@pytest.mark.parametrize("kind", [CocoAreas, YoloAreas, LabelmeShapes])
def test_encodings_travel_to_other_processes(kind: Callable[[Table], Drawing]) -> None:
    encoding = kind({UNCOVERED: 0, 7: 1})
    assert pickle.loads(pickle.dumps(encoding)) == encoding
    assert encoding.name
    assert repr(encoding) != repr(kind({UNCOVERED: 0, 7: 2}))  # else a plan would not see it
