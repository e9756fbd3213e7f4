"""Train ids: the numbers that classes have while training, 0 to classes - 1."""

IGNORE = 255
"""The train id of a pixel that neither trains nor scores."""

RGB = tuple[int, int, int]


def identity(classes: int, *ignored: int) -> dict[int, int]:
    """The table of a file that holds train ids already; `ignored` are its values of no class."""
    return {**{train: train for train in range(classes)}, **dict.fromkeys(ignored, IGNORE)}
