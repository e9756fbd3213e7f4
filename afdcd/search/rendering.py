"""What a person hears while the street scenes are rendered, before the first study on them."""

import time

from afdcd.search.say import say

PATIENCE = 5  # seconds that a person waits without a word


class Rendering:
    """Tells how far the street scenes are, now and then; they are rendered by the first study."""

    def __init__(self) -> None:
        self._images = self._done = 0
        self._said = time.monotonic()

    def begin(self, images: int, kept: int) -> None:
        self._images, self._done = images, kept
        say(f"renders {images} street scenes")

    def __call__(self, images: int, size: int) -> None:
        self._done += images
        if time.monotonic() - self._said > PATIENCE:
            self._said = time.monotonic()
            say(f"{self._done} of {self._images} street scenes are rendered")
