"""Equal bytes in two splits."""

from pathlib import Path

import pytest

from afdcd.data.catalog.splits import Split
from afdcd.data.own import copies
from afdcd.data.own.copies import without_copies
from afdcd.data.pairs import Pair


def _folder(tmp_path: Path, **files: bytes) -> list[Pair]:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    split: dict[str, Split] = {"t": "train", "v": "val", "e": "test", "u": "unlabelled"}
    return [Pair(split[name[0]], name, name, None) for name in files]


def test_an_unlabelled_picture_that_judges_is_refused(tmp_path: Path) -> None:
    pairs = _folder(
        tmp_path, u1=b"same", u2=b"else", u3=b"test", t1=b"else", v1=b"same", e1=b"test"
    )
    kept, refused, warnings = without_copies(tmp_path, pairs)
    assert [pair.key for pair in kept] == ["u2", "t1", "v1", "e1"]
    assert [line.partition(":")[0] for line in sorted(refused)] == ["u1", "u3"]
    assert "v1 of val" in refused[0] or "v1 of val" in refused[1]
    assert warnings == [
        "1 unlabelled pictures are labelled ones of train, e.g. u2 has the same bytes as t1 of train"
    ]


def test_what_selects_under_dev_judges_too(tmp_path: Path) -> None:
    pairs = _folder(tmp_path, u1=b"same", t1=b"same", t2=b"else", t3=b"else")
    kept, refused, warnings = without_copies(tmp_path, pairs, frozenset({"t1", "t2"}))
    assert [pair.key for pair in kept] == ["t1", "t2", "t3"]
    assert "u1: the same bytes as t1 of train, which selects under protocol dev" in refused[0]
    assert "t3 of train has the same bytes as t2 of train, which selects" in warnings[0]


def test_a_labelled_picture_in_two_splits_is_told_and_stays(tmp_path: Path) -> None:
    pairs = _folder(tmp_path, t1=b"same", v1=b"same", t2=b"four")
    kept, refused, warnings = without_copies(tmp_path, pairs)
    assert (kept, refused) == (pairs, [])
    assert "1 pictures are in two splits" in warnings[0]
    assert "t1 of train has the same bytes as v1 of val, which selects" in warnings[0]


def test_only_pictures_of_one_size_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = _folder(tmp_path, t1=b"1", t2=b"22", v1=b"333", v2=b"33x")
    looked: list[object] = []
    monkeypatch.setattr(copies, "_sha256", lambda folder, place: looked.append(place))
    without_copies(tmp_path, pairs)
    assert looked == ["v1", "v2"]
