"""Two folders of pictures and masks, or masks beside pictures, without a word on the classes.

What scripts of one's own, papers' repositories and Kaggle sets look like, and what torchvision,
segmentation_models.pytorch and Ultralytics read. Markers: folders of both kinds (`images/` and
`masks/`, `train/` and `train_masks/`), or files of one folder whose names belong together. Splits:
`train.txt` and the like, else folders, else none. It comes last: anything that says more goes before.
"""

from afdcd.data.own.found import Found, Hints, Said
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.tree import Tree


def mask_folders(tree: Tree, hints: Hints) -> Found | None:
    return mask_set(tree, hints, "pictures and masks", Said())
