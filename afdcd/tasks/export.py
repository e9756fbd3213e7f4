"""Predictions as the files that a data set's own tools and servers read.

Each is a PNG of one number per pixel at the size of the image, in the values of the data set's own
label files. Names and folders: mcordts/cityscapesScripts@02a0f28
`evaluation/evalPixelLevelSemanticLabeling.py`, which looks for `<city>_<seq>_<frame>*.png`; the
VOC2012 devkit, `results/VOC2012/Segmentation/<competition>_<split>_cls/<id>.png` in palette colours;
elsewhere the name of the image.
"""

import io
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Integer
from PIL import Image

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import Dataset
from afdcd.tasks.pictures import mask

# Trained on more than VOC's own pictures: competition 6.
_VOC_COMPETITION = "comp6"
_SERVERS = {
    "cityscapes": "https://www.cityscapes-dataset.com/submit/",
    "voc": "http://host.robots.ox.ac.uk:8080/",
    "ade20k": "http://sceneparsing.csail.mit.edu/",
}


class Exporter:
    """Writes predictions below `folder`, a path or URI, replacing those of an earlier run.

    Args:
        dataset: the one whose train ids the network predicts.
        split: that the images are of.
    """

    def __init__(self, folder: str, dataset: Dataset, split: str) -> None:
        self.folder, self.count = folder, 0
        self._dataset, self._split = dataset, split
        self._raw = np.zeros(256, dtype=np.uint8)
        for train, raw in dataset.train_to_raw.items():
            self._raw[train] = raw

    def write(self, key: str, predicted: Integer[np.ndarray, "H W"]) -> None:
        """Write one prediction, given as train ids.

        Raises:
            UserError: the folder cannot be written to, or the key leads out of it.
        """
        raw, png = self._raw[predicted], io.BytesIO()
        picture = mask(raw, self._dataset.palette) if self._is_voc else Image.fromarray(raw)
        picture.save(png, "PNG")
        storage.write_bytes(storage.join(self.folder, self._name(key)), png.getvalue())
        self.count += 1

    @property
    def server(self) -> str:
        return _SERVERS.get(self._dataset.name, "the data set's own server")

    @property
    def _is_voc(self) -> bool:
        return self._dataset.name == "voc"

    def _name(self, key: str) -> str:
        path = PurePosixPath(key)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{key!r} cannot name a prediction; prepare the data set again")
        if self._dataset.name == "cityscapes":
            return f"{key}_pred_labelIds.png"
        if self._is_voc:
            return f"results/VOC2012/Segmentation/{_VOC_COMPETITION}_{self._split}_cls/{key}.png"
        return f"{key}.png"
