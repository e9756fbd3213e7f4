"""The committed search spaces by name."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.space_files import space_names, space_path

FOLDER = Path(__file__).parents[1] / "search_spaces"


def test_every_committed_space_has_its_file_s_name() -> None:
    assert space_names() == sorted(path.stem for path in FOLDER.iterdir())
    assert all(space_path(name).samefile(FOLDER / f"{name}.yaml") for name in space_names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cityscape", r"cityscape: no search space .* mean 'cityscapes'\? there are: ade20k, "),
        ("../search_spaces/voc", r"there are: ade20k, .*, voc$"),  # a name is no path
        ("", r"there are: ade20k, "),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space_path(name)
