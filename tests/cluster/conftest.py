"""What the tests that run containers share: the images, and the services of docker/compose.yaml."""

from collections.abc import Iterator

import pytest

from tests.cluster.containers import IMAGES, ROOT, containers
from tests.cluster.stack import STAND_INS, Stack, podman_compose
from tests.cluster.test_image import IMAGE, build_image

MLFLOW = "localhost/afdcd-test-mlflow"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made, program = containers(), podman_compose()
    build_image(made)
    made.build(MLFLOW, ROOT / "docker" / "mlflow.Dockerfile", ROOT)
    for name, image in STAND_INS.items():
        made.build(image, IMAGES / f"{name}.Dockerfile", IMAGES)
    stack = Stack(made, program, IMAGE, MLFLOW, tmp_path_factory.mktemp("compose"))
    stack.down("-v")  # of a test that was killed
    try:
        stack.up()
        yield stack
    finally:
        stack.down("-v")
