"""From what the data set and the person say to train ids: one table, or a plain question."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from afdcd.config import Source, UserError
from afdcd.data.catalog.train_ids import IGNORE, RGB
from afdcd.data.own.classes_file import MOST_CLASSES, ClassesFile
from afdcd.data.own.found import UNCOVERED, Raw, Said, word

_BACKGROUND = "background"
_SHOWN = 12


@dataclass(frozen=True)
class Classes:
    """Attributes:
    names, palette: in the order of the train ids.
    table: raw value -> train id or IGNORE.
    """

    names: tuple[str, ...]
    palette: tuple[RGB, ...]
    table: dict[Raw, int]

    @property
    def ignored(self) -> tuple[Raw, ...]:
        return tuple(raw for raw, train in self.table.items() if train == IGNORE)

    @property
    def colourful(self) -> bool:
        """Whether masks hold colours."""
        return any(isinstance(raw, tuple) for raw in self.table)


def resolve(
    said: Said,
    file: tuple[ClassesFile, Source] | None,
    ignore: Sequence[Raw] = (),
    background: str | None = None,
) -> Classes:
    """The classes of a data set.

    Args:
        file: the person's classes.yaml; the data set's own table without it.
        ignore: of the command line, besides what the files say.
        background: a class's name or `ignore`: what no annotation covers.

    Raises:
        UserError: nobody names the classes, or a name, value or class is left open.
    """
    shown: dict[str, RGB] = {}
    if file is None:
        _distinct(said)
        names, dropped = dict(said.names), list(said.ignored)
    else:
        names, shown, dropped = _persons(said, *file)
        background = background or file[0].background
    if not names:
        raise UserError(
            "nothing says which value is which class; write what the masks hold with "
            "`--draft classes.yaml`, complete it, and give it as --classes classes.yaml"
        )
    _known_raws(names, said)
    before, names = names, _covered(names, background)
    if file is not None:
        _none_covered(before, names, *file)
    ignored = {raw for one in (*dropped, *ignore) for raw in _raws(one, said, names)}
    names = {raw: name for raw, name in names.items() if raw not in ignored}
    order = list(dict.fromkeys(names.values()))
    _check(order, said.source)
    table = {raw: order.index(name) for raw, name in names.items()}
    table |= dict.fromkeys(ignored, IGNORE)
    if UNCOVERED in said.names:
        table.setdefault(UNCOVERED, IGNORE)
    elif not any(isinstance(raw, tuple) for raw in table):
        table.setdefault(255, IGNORE)
    palette = _palette(order, shown, said.colours, _raw_colours(names))
    return Classes(tuple(order), palette, table)


def _distinct(said: Said) -> None:
    """Two things of one name in the data set's own table: one class, or a slip, only a person knows."""
    first: dict[str, Raw] = {}
    for raw, name in said.names.items():
        if raw == UNCOVERED or said.merges:
            continue
        before = first.setdefault(name, raw)
        if before != raw:
            raise UserError(
                f"{said.source or 'the data set'}: {word(before)} and {word(raw)} are both {name!r}: "
                "rename one, or merge them in a classes.yaml (`from:`)"
            )


def _persons(
    said: Said, file: ClassesFile, source: Source
) -> tuple[dict[Raw, str], dict[str, RGB], list[Raw]]:
    """The classes that a person lists; every class of the data set's own must be in one list."""
    names = _listed(said, file, source)
    shown = {entry.name: entry.shown for entry in file.classes if entry.shown}
    dropped = _dropped(said, file, source, names)
    left = {raw: name for raw, name in said.names.items() if raw not in names}
    if UNCOVERED in left:  # nobody has to list it: it keeps its end of the table
        uncovered: dict[Raw, str] = {UNCOVERED: left.pop(UNCOVERED)}
        names = uncovered | names if next(iter(said.names)) == UNCOVERED else names | uncovered
    if file.ignore == "rest":
        dropped += left
    open_ = [str(name) for raw, name in left.items() if raw not in dropped]
    if open_:
        raise UserError(
            f"{source.name}: {', '.join(dict.fromkeys(open_))} of {said.source} is in neither "
            "list; add it to classes or to ignore (`ignore: rest` takes all that is left)"
        )
    return names, shown, [*dropped, *(raw for raw in said.ignored if raw not in names)]


def _listed(said: Said, file: ClassesFile, source: Source) -> dict[Raw, str]:
    """What each entry takes. One raw value may be said by number and by name: never for two entries."""
    names: dict[Raw, str] = {}
    for index, entry in enumerate(file.classes):
        raws = list(entry.raws)
        for own in entry.names:
            found = _called(own, said)
            if not found:
                at = source.at(("classes", index, "from"))
                raise UserError(
                    f"{at}: {own!r} is no class of {said.source}; known: {_known(said)}"
                )
            raws += found
        for raw in raws:
            if names.setdefault(raw, entry.name) != entry.name:
                at = source.at(("classes", index))
                both = f"both {names[raw]!r} and {entry.name!r}"
                raise UserError(f"{at}: {_described(raw, said)} is {both}; keep one")
    return names


def _dropped(said: Said, file: ClassesFile, source: Source, names: Mapping[Raw, str]) -> list[Raw]:
    """What the file ignores by value, colour or name; nothing that it lists as a class."""
    given = () if file.ignore == "rest" else file.ignore
    dropped = [raw for one in given for raw in _raws(one, said, names)]
    for raw in dropped:
        if raw in names:
            raise UserError(
                f"{source.at(('ignore',))}: {_described(raw, said)} is ignored and the class "
                f"{names[raw]!r}; keep one"
            )
    return dropped


def _described(raw: Raw, said: Said) -> str:
    own = said.names.get(raw)
    return word(raw) if own in (None, raw) else f"{word(raw)} ({own})"


def _known(said: Said) -> str:
    return ", ".join(map(str, dict.fromkeys(said.names.values()))) or "none"


def _known_raws(names: Mapping[Raw, str], said: Said) -> None:
    """Annotations name their classes, so a number that is none of them is a slip."""
    unknown = [raw for raw in names if raw not in said.names]
    if UNCOVERED in said.names and unknown:
        known = ", ".join(f"{raw} {name}" for raw, name in said.names.items() if raw != UNCOVERED)
        raise UserError(
            f"classes.yaml: {unknown[0]!r} is no class of {said.source}; known: {known}"
        )


def _covered(names: dict[Raw, str], background: str | None) -> dict[Raw, str]:
    """`names` with what the person says of pixels that no annotation covers."""
    if background is None:
        return names
    if UNCOVERED not in names:
        raise UserError(
            "--background: these labels say a class for every pixel; use --ignore or classes.yaml"
        )
    if background == "ignore":
        return {raw: name for raw, name in names.items() if raw != UNCOVERED}
    return {raw: background if raw == UNCOVERED else name for raw, name in names.items()}


def _none_covered(
    before: Mapping[Raw, str], names: Mapping[Raw, str], file: ClassesFile, source: Source
) -> None:
    """A listed class whose only pixels are those that no annotation covers, and they are said to
    be another."""
    lost = {entry.name for entry in file.classes} & {*before.values()} - {*names.values()}
    if lost:
        raise UserError(
            f"{source.name}: what no annotation covers is the class {lost.pop()!r} and, as background "
            f"says, {names.get(UNCOVERED, 'ignore')!r}; keep one"
        )


def _raws(given: Raw, said: Said, names: Mapping[Raw, str]) -> list[Raw]:
    """What is ignored by a value, a colour or a class's name."""
    known = {*said.names, *said.ignored, *names}
    if given in known:
        return [given]
    # A class may be called 3: typed, that is a number.
    found = _called(str(given), said) or [raw for raw in said.ignored if raw == str(given)]
    if found:
        return found
    if isinstance(given, str):
        raise UserError(f"ignore {given!r}: no class of that name; known: {_known(said)}")
    _may_be_ignored(given, known, said)
    return [given]


def _may_be_ignored(given: Raw, known: Set[Raw], said: Said) -> None:
    """Masks may hold what no table names; annotations name all that they hold."""
    kinds = {type(raw) for raw in known if not isinstance(raw, str)}
    if type(given) in kinds and (UNCOVERED not in said.names or given == IGNORE):
        return
    if kinds and type(given) not in kinds:
        held = "numbers" if kinds == {int} else "colours"
        raise UserError(f"ignore {word(given)}: the labels hold {held}; known: {_listing(known)}")
    raise UserError(
        f"ignore {word(given)}: no class of {said.source or 'the data set'}; known: "
        f"{', '.join(_described(raw, said) for raw in said.names if raw != UNCOVERED)}"
    )


def _listing(known: Set[Raw]) -> str:
    shown = sorted(map(word, known - {UNCOVERED}))
    return ", ".join(shown[:_SHOWN]) + (" ..." if len(shown) > _SHOWN else "")


def _called(name: str, said: Said) -> list[Raw]:
    return [raw for raw, own in said.names.items() if own == name]


def _check(order: Sequence[str], source: str) -> None:
    where = source or "the data set"
    if not 2 <= len(order) <= MOST_CLASSES:
        raise UserError(
            f"{where}: {len(order)} classes ({', '.join(order[:4])}); 2 to {MOST_CLASSES} can be "
            "trained: merge or name some in a classes.yaml"
        )
    seen: dict[str, str] = {}
    for name in order:
        before = seen.setdefault(name.strip().casefold(), name)
        if before != name or not name.strip() or name != name.strip():
            shown = f"{before!r} and {name!r}" if before != name else repr(name)
            raise UserError(
                f"{where}: class {shown}: names differ in nothing but case or blanks, or have blanks "
                "at an end; rename or merge them in a classes.yaml (`from:`)"
            )


def _raw_colours(names: Mapping[Raw, str]) -> dict[str, RGB]:
    return {name: raw for raw, name in names.items() if isinstance(raw, tuple)}


def _palette(order: Sequence[str], *said: Mapping[str, RGB]) -> tuple[RGB, ...]:
    """The colours that are said, what is said first before the rest; none is of two classes.

    The others are VOC's, which differ in hue from one to the next.
    """
    owners: dict[RGB, str] = {}
    for colours in (*said, {_BACKGROUND: (0, 0, 0)}):
        for name in order:
            if name in colours and name not in owners.values():
                owners.setdefault(colours[name], name)
    own = {name: colour for colour, name in owners.items()}
    free = (c for c in (_voc_colour(i) for i in range(1, 1 << 12)) if c not in owners)
    return tuple(own.get(name) or next(free) for name in order)


def _voc_colour(index: int) -> RGB:
    """Bits 0, 1, 2 of `index` are the highest of red, green, blue, and so on (VOCdevkit VOCcode)."""
    red = green = blue = 0
    for place in range(8):
        red |= (index >> 0 & 1) << 7 - place
        green |= (index >> 1 & 1) << 7 - place
        blue |= (index >> 2 & 1) << 7 - place
        index >>= 3
    return red, green, blue
