"""The options as a person writes them."""

import argparse

import pytest

from afdcd.config import UserError
from afdcd.tasks.inference import InferenceConfig
from afdcd.tasks.options import add_inference_options, inference_of


def parsed(*arguments: str) -> InferenceConfig:
    parser = argparse.ArgumentParser()
    add_inference_options(parser)
    return inference_of(parser.parse_args(arguments))


def test_nothing_given_shows_whole_images_once() -> None:
    assert parsed() == InferenceConfig()
    assert parsed().single_pass


def test_all_given() -> None:
    given = parsed("--window", "769", "713", "--stride", "2/3", "--scales", "0.5", "1", "--flip")
    assert given == InferenceConfig(window=(769, 713), stride=2 / 3, scales=(0.5, 1.0), flip=True)
    assert not given.single_pass


@pytest.mark.parametrize("stride", ["two", "1/0", ""])
def test_a_stride_that_is_no_number_is_refused(
    stride: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--stride", stride)
    assert "is no share; write 2/3 or 0.5" in capsys.readouterr().err


def test_a_value_that_no_image_can_be_shown_with_is_named() -> None:
    with pytest.raises(UserError, match=r"options: stride: .*less than or equal to 1"):
        parsed("--stride", "3/2")
    with pytest.raises(UserError, match=r"options: scales\.1"):
        parsed("--scales", "1", "0")
