"""One file per published folder layout; here the list of them."""

from collections.abc import Callable
from pathlib import Path

from afdcd.data.convert.camvid import find_camvid
from afdcd.data.convert.pairs import Layout

FINDERS: dict[str, Callable[[Path], Layout]] = {"camvid": find_camvid}
