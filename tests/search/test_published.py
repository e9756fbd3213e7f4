"""Published scores: which belong beside which of ours."""

import pytest

from afdcd.search.published import RESNET101, SCRATCH, figure_of


@pytest.mark.parametrize(
    ("dataset", "student", "method", "pretrained", "value", "split"),
    [
        ("cityscapes", "deeplabv3-resnet18", "none", True, 0.7421, "val"),
        ("cityscapes", "deeplabv3-resnet18", "maskd", True, 0.7700, "val"),
        ("cityscapes", "deeplabv3-resnet18", "maskd", False, 0.7395, "val"),
        ("cityscapes", "deeplabv3-mobilenetv2", "afdcd", True, 0.7643, "val"),
        ("camvid", "pspnet-resnet18", "afdcd", True, 0.6948, "test"),
        ("ade20k", "deeplabv3-resnet18", "kd", True, 0.3488, "val"),
    ],
)
def test_a_figure_is_of_one_data_set_pair_and_start(
    dataset: str, student: str, method: str, pretrained: bool, value: float, split: str
) -> None:
    found = figure_of(dataset, RESNET101, student, method, pretrained=pretrained)
    assert found and found.value == pytest.approx(value) and found.split == split
    assert found.source and (found.source == SCRATCH) is not pretrained


@pytest.mark.parametrize(
    ("dataset", "teacher", "student", "method", "pretrained"),
    [
        (
            "camvid",
            RESNET101,
            "deeplabv3-resnet18",
            "afdcd",
            False,
        ),  # nobody trained it from scratch
        ("cityscapes", "deeplabv3-resnet18", "deeplabv3-resnet18", "afdcd", True),
        ("cityscapes", RESNET101, "pspnet-lcnet_050", "afdcd", True),
        ("cityscapes", RESNET101, "deeplabv3-resnet18", "mgd", True),  # another teacher's
        ("cityscapes", "pspnet-resnet101", "deeplabv3-resnet18", "afdcd", True),
        ("synthetic", RESNET101, "deeplabv3-resnet18", "none", True),
    ],
)
def test_of_anything_else_none_is_known(
    dataset: str, teacher: str, student: str, method: str, pretrained: bool
) -> None:
    assert figure_of(dataset, teacher, student, method, pretrained=pretrained) is None


def test_mgd_is_held_to_its_own_teacher_and_baseline() -> None:
    of_mgd = [
        figure_of("cityscapes", "pspnet-resnet101", "pspnet-resnet18", method, pretrained=True)
        for method in ("none", "mgd")
    ]
    assert [one.value for one in of_mgd if one] == pytest.approx([0.6985, 0.7363])
