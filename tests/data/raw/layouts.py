"""Every raw folder layout that `prepare` knows, written with tiny pictures whose truth is known.

`LAYOUTS` maps a name to a builder; a builder fills a folder and returns what is in it. What labels
mean is written down here a second time, so that a wrong table in the package cannot agree.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

IGNORE = 255
SIZE = (4, 6)  # rows, columns

# Frames of SegNet's three lists, the first and last of some of their runs.
CAMVID = {
    "train": ["0001TP_006690", "0001TP_008520", "0006R0_f00930", "0016E5_00901", "0016E5_08640"],
    "val": ["0016E5_07959", "0016E5_08159"],
    "test": ["0001TP_008550", "Seq05VD_f00000", "Seq05VD_f05100"],
}
CITYSCAPES = {
    "train": ["aachen_000000_000019", "hamburg_000000_104857", "ulm_000001_000020"],
    "val": ["frankfurt_000000_000294", "munster_000173_000029"],
    "test": ["berlin_000000_000019", "munich_000000_000019"],
}
VOC = {"train": ["2007_000032", "2008_000003"], "val": ["2007_000033", "2011_003256"]}
VOC_ADDED = ["2008_000008", "2011_003246"]  # of SBD alone
ADE20K = {
    "train": ["ADE_train_00000001", "ADE_train_00020210"],
    "val": ["ADE_val_00000001"],
}
COCO = {"train": ["000000000009", "000000581929"], "val": ["000000000139"]}

Encode = Callable[[np.ndarray], Image.Image]


@dataclass
class Raw:
    """A folder that was filled, and the train ids of its labels; None where they are withheld."""

    source: Path
    dataset: str
    truth: dict[tuple[str, str], np.ndarray | None] = field(default_factory=dict)

    def put(
        self, split: str, key: str, image: str, label: str | None, encode: Encode, classes: int
    ) -> None:
        """Write `image` and, in the layout's encoding, `label`."""
        save(self.source / image, Image.fromarray(_noise(key)))
        ids = None if label is None else ids_of(key, classes)
        if label is not None and ids is not None:
            save(self.source / label, encode(ids))
        self.truth[split, key] = ids

    def write(self, name: str, lines: list[str]) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def ids_of(key: str, classes: int) -> np.ndarray:
    """Train ids that differ from key to key; the first two pixels are class 0 and ignored."""
    ids = np.random.default_rng(zlib.crc32(key.encode())).integers(0, classes, SIZE)
    ids.ravel()[:2] = 0, IGNORE
    return ids.astype(np.uint8)


def numbered(raws: dict[int, int], dtype: type = np.uint8, palette: bool = False) -> Encode:
    """One number per pixel, from train id -> number."""

    def encode(ids: np.ndarray) -> Image.Image:
        values = np.vectorize(lambda train: raws[int(train)])(ids).astype(dtype)
        picture = Image.fromarray(values)
        if palette:
            picture.putpalette([(7 * i) % 256 for i in range(768)])
        return picture

    return encode


def coloured(colours: dict[int, tuple[int, int, int]]) -> Encode:
    def encode(ids: np.ndarray) -> Image.Image:
        return Image.fromarray(np.array([[colours[int(i)] for i in row] for row in ids], np.uint8))

    return encode


def _noise(key: str) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(key.encode()) + 1)
    return rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def _identity(classes: int, ignored: int = IGNORE) -> dict[int, int]:
    return {**{i: i for i in range(classes)}, IGNORE: ignored}


# Sky, Building, Pole, Road, Pavement, Tree, SignSymbol, Fence, Car, Pedestrian, Bicyclist, void.
_COLOURS = {
    0: (128, 128, 128),
    1: (128, 0, 0),
    2: (192, 192, 128),
    3: (128, 64, 128),
    4: (60, 40, 222),
    5: (128, 128, 0),
    6: (192, 128, 128),
    7: (64, 64, 128),
    8: (64, 0, 128),
    9: (64, 64, 0),
    10: (0, 128, 192),
    IGNORE: (0, 0, 0),
}
_OFFICIAL = {**_COLOURS, 4: (0, 0, 192), 1: (64, 192, 0), 8: (192, 128, 192)}  # Wall, Truck_Bus
_CODES = ["Void", "Sky", "Wall", "TrafficCone", "Road", "Sidewalk", "Tree", "TrafficLight"]
_CODES += ["Fence", "Truck_Bus", "Child", "Bicyclist"]  # so that number = train id + 1


def _camvid_folders(
    source: Path,
    encode: Encode,
    *,
    below: str = "",
    kind: str = "annot",
    ending: str = "",
    lists: str = "",
) -> Raw:
    raw = Raw(source, "camvid")
    for split, keys in CAMVID.items():
        for key in keys:
            image, label = f"{split}/{key}.png", f"{split}{kind}/{key}{ending}.png"
            raw.put(split, key, f"{below}{image}", f"{below}{label}", encode, 11)
        if lists:
            lines = [
                f"/SegNet/CamVid/{split}/{k}.png /SegNet/CamVid/{split}annot/{k}.png" for k in keys
            ]
            raw.write(below + lists.format(split=split), lines)
    return raw


def _camvid_flat(
    source: Path, encode: Encode, images: str, labels: str, ending: str, splits: dict[str, str]
) -> Raw:
    raw = Raw(source, "camvid")
    for split, keys in CAMVID.items():
        for key in keys:
            label = f"{labels}/{key}{ending}.png"
            raw.put(splits[split], key, f"{images}/{key}.png", label, encode, 11)
    return raw


def _camvid_fast_ai(source: Path) -> Raw:
    numbers = {**{i: i + 1 for i in range(11)}, IGNORE: 0}
    splits = {"train": "train", "val": "val", "test": "train"}
    raw = _camvid_flat(source, numbered(numbers), "images", "labels", "_P", splits)
    raw.write("codes.txt", _CODES)
    raw.write("valid.txt", [f"{key}.png" for key in CAMVID["val"]])
    return raw


_SEGNET = numbered(_identity(11, ignored=11))
_GRAY = numbered(_identity(11))
_SAME = {split: split for split in CAMVID}

_LABEL_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
_CITY_KINDS = {
    "labelIds": numbered({**dict(enumerate(_LABEL_IDS)), IGNORE: 3}),
    "labelTrainIds": numbered(_identity(19)),
    "instanceIds": numbered(
        {**{i: v * 1000 + 7 if v >= 24 else v for i, v in enumerate(_LABEL_IDS)}, IGNORE: 29001},
        np.uint16,
    ),
}


def _cityscapes(
    source: Path,
    kinds: tuple[str, ...],
    images: str = "leftImg8bit",
    labels: str = "gtFine",
    flat: bool = False,
) -> Raw:
    """Labels of all kinds named; those of test say where the bonnet is and must not be read."""
    raw = Raw(source, "cityscapes")
    for split, keys in CITYSCAPES.items():
        for key in keys:
            home = "" if flat else f"{split}/{key.partition('_')[0]}/"
            for kind in kinds:
                label = f"{labels}/{home}{key}_gtFine_{kind}.png"
                image = f"{images}/{home}{key}_leftImg8bit.png"
                raw.put(split, key, image, label, _CITY_KINDS[kind], 19)
            save(source / f"{labels}/{home}{key}_gtFine_color.png", Image.new("RGBA", SIZE[::-1]))
            if split == "test":
                raw.truth[split, key] = None
    return raw


_VOC_GRAY = numbered(_identity(21))
_VOC_PALETTE = numbered(_identity(21), palette=True)


def voc_colour(train: int) -> tuple[int, int, int]:
    """The devkit's colour map: bit 0, 1, 2 of the index go to the top bit of red, green, blue."""
    red = green = blue = 0
    for shift in range(8):
        red |= (train >> 3 * shift & 1) << 7 - shift
        green |= (train >> 3 * shift + 1 & 1) << 7 - shift
        blue |= (train >> 3 * shift + 2 & 1) << 7 - shift
    return red, green, blue


_VOC_RGB = coloured({i: voc_colour(i) for i in (*range(21), IGNORE)})


def _voc(
    source: Path,
    *,
    home: str = "VOCdevkit/VOC2012/",
    lists: str = "ImageSets/Segmentation/",
    aug: Encode | None = _VOC_GRAY,
    official: Encode | None = _VOC_PALETTE,
    augmented: str = "",
    names: tuple[str, ...] = ("train", "val"),
    slashes: bool = False,
) -> Raw:
    """`aug` and `official` None: no such folder; `augmented` names a list of all train keys."""
    raw = Raw(source, "voc")
    added = VOC_ADDED if aug else []
    for split, keys in {"train": [*VOC["train"], *added], "val": VOC["val"]}.items():
        for key in keys:
            image = f"{home}JPEGImages/{key}.jpg"
            if official and key not in added:
                label = f"{home}SegmentationClass/{key}.png"
                raw.put(split, key, image, label, official, 21)
            if aug:
                label = f"{home}SegmentationClassAug/{key}.png"
                raw.put(split, key, image, label, aug, 21)
    line = "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png" if slashes else "{0}"
    for name in names:
        raw.write(f"{home}{lists}{name}.txt", [line.format(key) for key in VOC[name]])
    if augmented:
        keys = [*VOC_ADDED, *VOC["train"]]
        raw.write(f"{home}{lists}{augmented}.txt", [line.format(key) for key in keys])
    return raw


def _voc_sbd(source: Path, sbd: str) -> Raw:
    """SBD's labels have no ignored border; its own val list overlaps VOC's."""
    raw = _voc(source, aug=None)
    for key in (*VOC_ADDED, VOC["train"][0], VOC["val"][0]):
        ids = ids_of(key, 21) % IGNORE
        save(source / sbd / "img" / f"{key}.jpg", Image.fromarray(_noise(key)))
        (source / sbd / "cls").mkdir(parents=True, exist_ok=True)
        record = np.zeros((1, 1), dtype=[("Segmentation", object)])
        record[0, 0]["Segmentation"] = ids
        savemat(source / sbd / "cls" / f"{key}.mat", {"GTcls": record}, do_compression=True)
        if key in VOC_ADDED:
            raw.truth["train", key] = ids
    raw.write(f"{sbd}/train.txt", [VOC_ADDED[0], VOC["train"][0]])
    raw.write(f"{sbd}/val.txt", [VOC_ADDED[1], VOC["val"][0]])
    return raw


def _voc_mmseg(source: Path) -> Raw:
    """SegmentationClassAug made of SBD alone, without borders, also for VOC's own images."""
    raw = _voc(source)
    for key in (*VOC["train"], *VOC["val"], *VOC_ADDED):
        ids = ids_of(key, 21) % IGNORE
        label = source / f"VOCdevkit/VOC2012/SegmentationClassAug/{key}.png"
        save(label, Image.fromarray(ids))
        if key in VOC_ADDED:
            raw.truth["train", key] = ids
    raw.write("VOCdevkit/VOC2012/ImageSets/Segmentation/aug.txt", VOC_ADDED)
    return raw


def _voc_with_test(source: Path) -> Raw:
    raw = _voc(source, augmented="trainaug")
    raw.put(
        "test", "2008_000006", "VOCdevkit/VOC2012/JPEGImages/2008_000006.jpg", None, _VOC_GRAY, 21
    )
    raw.write("VOCdevkit/VOC2012/ImageSets/Segmentation/test.txt", ["2008_000006", "2008_000011"])
    return raw


def _ade20k(
    source: Path, home: str = "", labels: str = "annotations", shift: int = 1, tests: str = ""
) -> Raw:
    raw = Raw(source, "ade20k")
    encode = numbered({**{i: i + shift for i in range(150)}, IGNORE: 0 if shift else IGNORE})
    for split, keys in ADE20K.items():
        below = {"train": "training", "val": "validation"}[split]
        for key in keys:
            image = f"{home}images/{below}/{key}.jpg"
            raw.put(split, key, image, f"{home}{labels}/{below}/{key}.png", encode, 150)
    if tests:
        raw.put("test", "ADE_test_00000001", f"{tests}/ADE_test_00000001.jpg", None, encode, 150)
    return raw


# Some whole-object classes of the full index: wall, sky, tree, car, person.
_FULL = {0: 2978, 2: 2420, 4: 2855, 20: 401, 12: 1831, IGNORE: 0}


def _ade20k_full(source: Path, top: str, scene: str) -> Raw:
    """Parts, masks and attributes lie beside the two files that count."""
    raw = Raw(source, "ade20k")
    trains = sorted(_FULL.keys() - {IGNORE})

    def encode(ids: np.ndarray) -> Image.Image:
        index = np.vectorize(lambda i: _FULL[int(i)])(ids)
        blue = np.arange(ids.size).reshape(ids.shape)  # numbers of objects
        return Image.fromarray(np.stack([index // 256 * 10, index % 256, blue], 2).astype(np.uint8))

    for split, keys in ADE20K.items():
        for key in keys:
            home = f"{top}{'training' if split == 'train' else 'validation'}/{scene}{key}"
            ids = np.array(trains, np.uint8)[ids_of(key, 250) % len(trains)]
            ids.ravel()[0] = IGNORE
            save(source / f"{home}.jpg", Image.fromarray(_noise(key)))
            save(source / f"{home}_seg.png", encode(ids))
            save(source / f"{home}_parts_1.png", encode(ids))
            save(source / f"{home}/instance_000_{key}.png", Image.new("L", SIZE[::-1]))
            raw.write(f"{home}_atr.txt", ["001 # 0 # 0 # sky # sky #"])
            raw.truth[split, key] = ids
    return raw


# 11 of the 182 raw values never occur: street sign, hat, shoe, eye glasses, plate, mirror, ...
_ABSENT = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}
_STUFF = dict(enumerate(value for value in range(182) if value not in _ABSENT))


def _coco(
    source: Path, images: str, labels: str, dataset: str = "coco_stuff", kinds: str = "raw"
) -> Raw:
    raw = Raw(source, dataset)
    trains = numbered(_identity(171))
    whole = numbered({**_STUFF, IGNORE: IGNORE})
    for split, keys in COCO.items():
        for key in keys:
            image = f"{images}{split}2017/{key}.jpg"
            label = f"{labels}{split}2017/{key}"
            if "raw" in kinds:
                raw.put(split, key, image, f"{label}.png", whole, 171)
            if "trains" in kinds:
                raw.put(split, key, image, f"{label}_labelTrainIds.png", trains, 171)
            raw.truth[split, key] = _counted(raw.truth[split, key], dataset)
    return raw


def _counted(ids: np.ndarray | None, dataset: str) -> np.ndarray:
    assert ids is not None
    if dataset == "coco_stuff_172":
        return np.where(ids == IGNORE, 171, ids).astype(np.uint8)
    if dataset == "coco_stuff_182":
        return np.vectorize({**_STUFF, IGNORE: IGNORE}.__getitem__)(ids).astype(np.uint8)
    return ids


LAYOUTS: dict[str, Callable[[Path], Raw]] = {
    "camvid segnet": partial(_camvid_folders, encode=_SEGNET, lists="{split}.txt"),
    "camvid segnet, other lists": partial(
        _camvid_folders, encode=_SEGNET, below="CamVid/", lists="camvid_{split}_list.txt"
    ),
    "camvid segnet, no lists": partial(_camvid_folders, encode=_SEGNET),
    "camvid segnet, 16 bits": partial(
        _camvid_folders, encode=numbered(_identity(11, ignored=11), np.uint16)
    ),
    "camvid segnet, palette": partial(
        _camvid_folders, encode=numbered(_identity(11, ignored=11), palette=True)
    ),
    "camvid segnet, 11 colours": partial(_camvid_folders, encode=coloured(_COLOURS)),
    "camvid segnet, 32 colours": partial(_camvid_folders, encode=coloured(_OFFICIAL)),
    "camvid segmentation suite": partial(
        _camvid_folders, encode=coloured(_OFFICIAL), kind="_labels", ending="_L"
    ),
    "camvid official": partial(
        _camvid_flat,
        encode=coloured(_OFFICIAL),
        images="701_StillsRaw_full",
        labels="LabeledApproved_full",
        ending="_L",
        splits=_SAME,
    ),
    **{
        f"camvid lih627, {labels}": partial(
            _camvid_flat,
            encode=encode,
            images="CamVid_RGB",
            labels=labels,
            ending="_L",
            splits=_SAME,
        )
        for labels, encode in {
            "CamVidGray": _GRAY,
            "CamVid_Label": coloured(_OFFICIAL),
            "CamVidColor11": coloured({**_COLOURS, 4: (0, 0, 192)}),
        }.items()
    },
    "camvid fast.ai": _camvid_fast_ai,
    "cityscapes": partial(_cityscapes, kinds=("labelIds", "labelTrainIds", "instanceIds")),
    "cityscapes, zips in own folders": partial(
        _cityscapes,
        kinds=("labelIds", "instanceIds"),
        images="leftImg8bit_trainvaltest/leftImg8bit",
        labels="gtFine_trainvaltest/gtFine",
    ),
    "cityscapes, imgsFine": partial(
        _cityscapes, kinds=("instanceIds",), images="imgsFine/leftImg8bit"
    ),
    "cityscapes, train ids only": partial(
        _cityscapes,
        kinds=("labelTrainIds", "instanceIds"),
        images="cityscapes/leftImg8bit",
        labels="cityscapes/gtFine",
    ),
    "cityscapes, flat": partial(_cityscapes, kinds=("labelIds",), flat=True),
    "voc gray aug": partial(_voc, augmented="train_aug"),
    "voc palette aug, mirror": partial(
        _voc, aug=_VOC_PALETTE, augmented="trainaug", home="TrainVal/VOCdevkit/VOC2012/"
    ),
    "voc lists with slashes": partial(
        _voc, lists="ImageSets/SegmentationAug/", augmented="train_aug", slashes=True, home=""
    ),
    "voc aug without its list": _voc,
    "voc aug.txt": _voc_mmseg,
    "voc seed": partial(
        _voc, home="VOCAug/", lists="list/voc/", augmented="train_aug", names=("val",)
    ),
    "voc seed, lists beside": partial(
        _voc, home="VOCAug/", lists="../list/voc/", augmented="train_aug", names=("val",)
    ),
    "voc official": partial(_voc, aug=None),
    "voc colours": partial(_voc, aug=None, official=_VOC_RGB, home="VOC2012/"),
    "voc sbd": partial(_voc_sbd, sbd="benchmark_RELEASE/dataset"),
    "voc sbd, in the devkit": partial(_voc_sbd, sbd="VOCdevkit/VOCaug/dataset"),
    "voc with test": _voc_with_test,
    "ade20k": _ade20k,
    "ade20k with test": partial(
        _ade20k, home="ADEChallengeData2016/", tests="release_test/testing"
    ),
    "ade20k nested": partial(_ade20k, home="data/ade/ADEChallengeData2016/"),
    "ade20k detectron2": partial(_ade20k, labels="annotations_detectron2", shift=0),
    "ade20k full 2016": partial(_ade20k_full, top="ADE20K_2016_07_26/images/", scene="a/abbey/"),
    "ade20k full 2021": partial(
        _ade20k_full, top="ADE20K_2021_17_01/images/ADE/", scene="cultural/abbey/"
    ),
    "ade20k full, its folders": partial(_ade20k_full, top="dataset/", scene="street/"),
    "coco_stuff": partial(_coco, images="", labels="stuffthingmaps/"),
    "coco_stuff in coco/": partial(_coco, images="coco/", labels="coco/stuffthingmaps/"),
    "coco_stuff images, annotations": partial(
        _coco, images="dataset/images/", labels="dataset/annotations/"
    ),
    "coco_stuff beside train ids": partial(
        _coco, images="images/", labels="annotations/", kinds="raw trains"
    ),
    "coco_stuff train ids only": partial(
        _coco, images="images/", labels="annotations/", kinds="trains"
    ),
    "coco_stuff_172": partial(_coco, images="", labels="stuffthingmaps/", dataset="coco_stuff_172"),
    "coco_stuff_172 train ids only": partial(
        _coco, images="images/", labels="annotations/", dataset="coco_stuff_172", kinds="trains"
    ),
    "coco_stuff_182": partial(_coco, images="", labels="stuffthingmaps/", dataset="coco_stuff_182"),
}
