"""Packages that only some people need: extras of pyproject.toml, as in `pip install 'afdcd[plot]'`."""

from importlib.util import find_spec

from afdcd.config import UserError


def need(module: str, extra: str, purpose: str) -> None:
    """Call it before the work begins whose end would need the module.

    Raises:
        UserError: the module is not installed; names the extra that brings it.
    """
    if find_spec(module) is None:
        raise UserError(
            f"{purpose} needs {module}, which is not installed here: pip install 'afdcd[{extra}]'"
        )
