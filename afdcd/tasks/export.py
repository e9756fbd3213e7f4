"""Predictions as the files that a data set's own tools and servers read.

Each is a PNG of one number per pixel at the size of the image, in the values of the data set's own
label files, under the names that they look for (`Dataset.submission`); elsewhere that of the image.
"""

import io
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Integer
from PIL import Image

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.tasks.pictures import mask


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
        coloured = self._dataset.submission.coloured
        picture = mask(raw, self._dataset.palette) if coloured else Image.fromarray(raw)
        picture.save(png, "PNG")
        storage.write_bytes(storage.join(self.folder, self._name(key)), png.getvalue())
        self.count += 1

    @property
    def server(self) -> str:
        return self._dataset.submission.server

    def _name(self, key: str) -> str:
        path = PurePosixPath(key)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{key!r} cannot name a prediction; prepare the data set again")
        return self._dataset.submission.name.format(key=key, split=self._split)
