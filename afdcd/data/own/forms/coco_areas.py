"""The annotations of a COCO JSON, by image; what cannot be drawn is told and left out."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from afdcd.data.own.drawings.coco import drawable
from afdcd.data.own.entries import Refusals
from afdcd.data.own.forms.coco_images import id_of

_REMEDIES = {
    "no outline": "a box alone has no pixels; export polygons",
    "fewer than 3 points": "it encloses nothing; take it out",
}


@dataclass
class Areas:
    """Attributes:
    of_image: image id -> `[category id, segmentation]` in file order.
    spoilt: images with an area of a category that is not listed, or with RLE that is none: without
        it, its pixels would be trained on as background.
    used: categories that annotations have.
    left_out: annotations without an outline that can be drawn.
    """

    of_image: dict[int | str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    spoilt: set[int | str] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    left_out: int = 0


def read_areas(
    file: str,
    annotations: list[Any],
    categories: Collection[int],
    images: Collection[int | str],
    refusals: Refusals,
) -> Areas:
    areas = Areas()
    for place, annotation in enumerate(annotations):
        image, category = id_of(annotation, "image_id"), id_of(annotation, "category_id")
        number = id_of(annotation)
        shown = f"annotations[{place}]" if number is None else f"annotation {number}"
        if image is None:
            refusals.add(file, shown, "no image_id: export it again")
        elif image not in images:
            reason = "its image_id is not among the images taken: export both together"
            refusals.add(file, shown, reason)
        elif not isinstance(category, int) or category not in categories:
            reason = "of a category that is not listed; its image is left out: add the category"
            refusals.add(file, shown, reason)
            areas.spoilt.add(image)
        else:
            areas.used.add(category)
            segmentation = annotation.get("segmentation")
            good, faults = drawable(segmentation)
            for fault in dict.fromkeys(faults):
                refusals.add(file, shown, f"{fault}: {_REMEDIES.get(fault, 'correct it')}")
            if isinstance(segmentation, dict) and faults:
                areas.spoilt.add(image)
            elif good is None:
                areas.left_out += 1
            else:
                areas.of_image[image].append([category, good])
    return areas
