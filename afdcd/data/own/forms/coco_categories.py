"""The classes of COCO JSON files: categories by id, and what no annotation covers."""

from dataclasses import dataclass, field
from typing import Any

from afdcd.config import UserError
from afdcd.data.own.entries import class_name, is_background
from afdcd.data.own.found import UNCOVERED, Raw


@dataclass
class Categories:
    """Attributes:
    used: ids that annotations have.
    """

    used: set[int] = field(default_factory=set)
    _names: dict[int, str] = field(default_factory=dict)
    _parents: set[str] = field(default_factory=set)
    _roboflow: bool = False

    def read(self, file: str, categories: list[Any]) -> set[int]:
        """The ids of one file.

        Raises:
            UserError: no id or name, or another name than an earlier file gives to the id.
        """
        self._roboflow |= file.endswith("_annotations.coco.json")
        known: set[int] = set()
        for place, category in enumerate(categories):
            try:
                number, name = category["id"], class_name(category["name"])
                if type(number) is not int:
                    raise ValueError
            except (TypeError, KeyError, ValueError):
                raise UserError(
                    f"{file}: categories[{place}]: no whole number `id` and `name`; export it again"
                ) from None
            if self._names.setdefault(number, name) != name:
                raise UserError(
                    f"{file}: category {number} is {name!r} here and "
                    f"{self._names[number]!r} before; give each category an id of its own"
                )
            if number:
                self._parents.add(str(category.get("supercategory")))
            known.add(number)
        return known

    def names(self) -> tuple[dict[Raw, str], tuple[str, ...]]:
        """Raw value -> name, and what was done to the categories."""
        categories: dict[Raw, str] = {**dict(sorted(self._names.items()))}
        remarks: tuple[str, ...] = ()
        if self._is_project(categories):
            remarks = (
                f"category 0 ({categories.pop(0)!r}) has no annotations and names the project, as "
                "Roboflow writes it: left out",
            )
        own = next((n for n in categories.values() if is_background(n)), None)
        if own is not None:
            return {**categories, UNCOVERED: own}, remarks
        return {UNCOVERED: "background", **categories}, remarks

    def _is_project(self, categories: dict[Raw, str]) -> bool:
        name = categories.get(0, "background")
        return (
            len(categories) > 1
            and 0 not in self.used
            and not is_background(name)
            and (self._roboflow or name in self._parents)
        )
