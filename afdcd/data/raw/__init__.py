"""One file per data set: which of its published folder layouts a folder has; here the list."""

from collections.abc import Callable
from pathlib import Path

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.pairs import Layout
from afdcd.data.raw.ade20k import find_ade20k
from afdcd.data.raw.camvid import find_camvid
from afdcd.data.raw.cityscapes import find_cityscapes
from afdcd.data.raw.coco_stuff import find_coco_stuff
from afdcd.data.raw.voc import find_voc

FINDERS: dict[str, Callable[[Path, Dataset], Layout]] = {
    "camvid": find_camvid,
    "cityscapes": find_cityscapes,
    "voc": find_voc,
    "ade20k": find_ade20k,
    "coco_stuff": find_coco_stuff,
    "coco_stuff_172": find_coco_stuff,
    "coco_stuff_182": find_coco_stuff,
}
