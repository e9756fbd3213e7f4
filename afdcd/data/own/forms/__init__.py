"""One file per form of data set that people bring; here in the order in which they are tried."""

from afdcd.data.own.found import Form

FORMS: tuple[Form, ...] = ()
