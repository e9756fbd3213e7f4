"""Which rows of its train split a data set holds out under `dev`: by their keys alone."""

from collections.abc import Callable

from afdcd.seeds import derive


def sequence_of(key: str) -> str:
    """The video or scene that a frame comes from: what precedes the first underscore."""
    return key.partition("_")[0]


def camvid(key: str) -> bool:
    """0006R0: 101 of the 367 train frames, all 11 classes, a drive of its own.

    The published val split is one 6.7 s stretch of 0016E5 at 15 frames a second: worth a few
    independent pictures, with 2.2 % bicyclist pixels against 0.3 % in train, and its drive is also
    in train. Within a drive frames are 1 s apart, so only a whole drive is independent.
    """
    return sequence_of(key) == "0006R0"


def synthetic(key: str) -> bool:
    """Every fifth scene, so that the share holds whatever number of scenes was rendered."""
    return int(sequence_of(key).removeprefix("train")) % 5 == 4


def cityscapes(key: str) -> bool:
    """Three of the 18 train cities, 496 of 2975 images: a city is the unit that is independent."""
    return sequence_of(key) in ("bremen", "darmstadt", "ulm")


def one_in(share: int) -> Callable[[str], bool]:
    """Photographs without a common origin: each is held out or not by a hash of its name."""
    return lambda key: derive(0, "held out", key) % share == 0
