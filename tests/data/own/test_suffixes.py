"""What masks add to names, as a property of the set."""

import random

import pytest

from afdcd.data.own.suffixes import affix, beside_suffix, common_suffix, counts_up, ending


def test_the_ending_that_pairs_most_wins() -> None:
    pictures = {"v1.2", "v1.2_mask", "w"}
    masks = ["v1.2_mask", "v1.2_mask_mask", "w_mask"]
    for seed in range(10):
        random.Random(seed).shuffle(masks)
        assert common_suffix(masks, pictures) == "_mask"


def test_equal_names_need_no_ending() -> None:
    assert common_suffix(["a", "a_mask"], {"a", "a_mask"}) == ""
    assert common_suffix(["11"], {"1"}) is None  # frame 11 is not frame 1 with the ending 1
    assert common_suffix(["1/a"], {"1"}) is None


def test_of_endings_that_pair_as_many_one_that_tools_use_wins() -> None:
    assert common_suffix(["a_gt", "a_x"], {"a"}) == "_gt"
    assert common_suffix(["a_car", "a_car_2"], {"a"}) == "_car"


def test_ending_of_the_longest_picture() -> None:
    assert ending("f_1_mask", {"f", "f_1"}) == "_mask"
    assert ending("g", {"f"}) is None


@pytest.mark.parametrize(("suffix", "counts"), [("_12", True), ("-007", True), ("_v2", False)])
def test_numbers_are_names_of_frames(suffix: str, counts: bool) -> None:
    assert counts_up(suffix) is counts


def test_beside_pictures_an_unknown_ending_must_pair_half_of_them() -> None:
    assert beside_suffix({"cat", "cat_black", "dog", "owl", "fox"}) == ""
    assert beside_suffix({"cat", "cat_cut", "dog", "dog_cut", "owl"}) == "_cut"
    assert beside_suffix({"cat", "cat_mask", "dog", "owl", "fox"}) == "_mask"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"img_1", "img_2"}, ("img_", "")),
        ({"n/1_sat", "s/2_sat"}, ("", "_sat")),
        ({"img_1", "2"}, ("", "")),
        ({"image1", "image2"}, ("", "")),
        (set(), ("", "")),
    ],
)
def test_only_what_all_names_have_is_cut_off(names: set[str], found: tuple[str, str]) -> None:
    assert affix(names, "img|image|sat") == found
