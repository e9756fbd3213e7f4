"""One file per form of data set that people bring; here in the order in which they are tried.

A file that says what labels mean goes before folders that only look like something.
"""

from afdcd.data.own.forms.class_tables import class_tables
from afdcd.data.own.forms.coco_json import find_coco
from afdcd.data.own.forms.cvat_mask import cvat_mask
from afdcd.data.own.forms.datumaro_masks import datumaro_masks
from afdcd.data.own.forms.hf_parquet import find_hf_parquet
from afdcd.data.own.forms.labelme import find_labelme
from afdcd.data.own.forms.lightly_masks import lightly_masks
from afdcd.data.own.forms.mask_folders import mask_folders
from afdcd.data.own.forms.mmseg_dirs import mmseg_dirs
from afdcd.data.own.forms.roboflow_masks import roboflow_masks
from afdcd.data.own.forms.ultralytics_masks import ultralytics_masks
from afdcd.data.own.forms.yolo import find_yolo
from afdcd.data.own.found import Form

FORMS: tuple[Form, ...] = (
    cvat_mask,
    roboflow_masks,
    datumaro_masks,
    ultralytics_masks,
    lightly_masks,
    class_tables,
    find_coco,
    find_yolo,
    find_labelme,
    find_hf_parquet,
    mmseg_dirs,
    mask_folders,
)
