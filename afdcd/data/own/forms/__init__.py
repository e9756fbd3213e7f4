"""One file per form of data set that people bring; here in the order in which they are tried."""

from afdcd.data.own.forms.coco_json import find_coco
from afdcd.data.own.forms.hf_parquet import find_hf_parquet
from afdcd.data.own.forms.labelme import find_labelme
from afdcd.data.own.forms.yolo import find_yolo
from afdcd.data.own.found import Form

FORMS: tuple[Form, ...] = (
    find_coco,
    find_yolo,
    find_labelme,
    find_hf_parquet,
)
