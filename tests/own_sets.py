"""A data set that a person brought, made in a moment and prepared by the real command."""

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from afdcd.prepare import main

NAMES = ("ground", "no", "tree")  # `no` is a word


def draw_pictures(
    folder: Path, keys: list[str], size: tuple[int, int] = (48, 64)
) -> dict[str, np.ndarray]:
    """Photographs of squares below `folder`; key -> the class of each pixel."""
    masks = {}
    for key in keys:
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        mask = np.zeros(size, np.uint8)
        for train in (1, 2):
            top, left = (int(rng.integers(0, side - 20)) for side in size)
            mask[top : top + 16, left : left + 18] = train
        noise = rng.normal(0, 12, (*size, 3))
        colours = np.array([(90, 90, 90), (200, 60, 50), (40, 170, 60)])[mask]
        path = folder / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8)).save(path)
        masks[key] = mask
    return masks


def mask_folders(folder: Path) -> list[str]:
    """Two folders of pictures and masks, three sites; the words of `prepare` for them."""
    keys = [f"{site}/{number:03}" for site in ("north", "south", "west") for number in range(4)]
    for key, mask in draw_pictures(folder / "images", keys).items():
        path = folder / "masks" / f"{key}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    classes = folder.parent / "classes.yaml"
    classes.write_text("".join(f"- {{name: {n}, value: {v}}}\n" for v, n in enumerate(NAMES)))
    return ["--classes", str(classes)]


def coco(folder: Path) -> list[str]:
    """COCO's instance JSON, one for each split: boxes as polygons."""
    for split, count in (("train", 8), ("val", 3), ("test", 2)):
        keys = [f"{split}_{number}x" for number in range(count)]
        masks = draw_pictures(folder / "images" / split, keys)
        images, annotations = [], []
        for number, (key, mask) in enumerate(masks.items()):
            size = {"height": mask.shape[0], "width": mask.shape[1]}
            images.append({"id": number, "file_name": f"{key}.png", **size})
            for category in (1, 2):
                rows, columns = np.nonzero(mask == category)
                if rows.size:
                    top, bottom, left, right = (
                        rows.min(),
                        rows.max() + 1,
                        columns.min(),
                        columns.max() + 1,
                    )
                    corners = [left, top, right, top, right, bottom, left, bottom]
                    area = {"segmentation": [[int(c) for c in corners]], "iscrowd": 0}
                    annotations.append(
                        {
                            "id": len(annotations),
                            "image_id": number,
                            "category_id": category,
                            **area,
                        }
                    )
        categories = [{"id": number, "name": NAMES[number]} for number in (1, 2)]
        path = folder / "annotations" / f"instances_{split}.json"
        path.parent.mkdir(exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": categories}
        path.write_text(json.dumps(content))
    return ["--background", "ground"]


def colour_table(folder: Path) -> list[str]:
    """Masks of colours with class_dict.csv, in folders by split."""
    colours = np.array([(10, 20, 30), (200, 0, 0), (0, 200, 0)], np.uint8)
    for split, count in (("train", 8), ("val", 3)):
        keys = [f"{split}_{number}x" for number in range(count)]
        for key, mask in draw_pictures(folder / split, keys).items():
            path = folder / f"{split}_labels" / f"{key}_L.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(colours[mask]).save(path)
    lines = [
        f"{name}, {r}, {g}, {b}" for name, (r, g, b) in zip(NAMES, colours.tolist(), strict=True)
    ]
    (folder / "class_dict.csv").write_text("\n".join(["name, r, g, b", *lines]) + "\n")
    return []


def prepare_own(folder: Path, name: str = "own", *, unlabelled: int = 0) -> str:
    """Two folders of pictures and masks, prepared; the root."""
    source, out = folder / "source", folder / name
    words = mask_folders(source)
    if unlabelled:
        draw_pictures(
            folder / "more", [f"extra{number}" for number in range(100, 100 + unlabelled)]
        )
        words += ["--unlabelled", str(folder / "more")]
    assert (
        main(["custom", "--source", str(source), "--out", str(out), "--workers", "1", *words]) == 0
    )
    return str(out)
