"""`package.module:function`, the way a user brings a network or a data set of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError


def is_factory(spec: str) -> bool:
    """True when `spec` reads as `package.module:function`."""
    module, colon, function = spec.partition(":")
    return bool(colon) and function.isidentifier() and all(map(str.isidentifier, module.split(".")))


def import_factory(spec: str) -> Callable[..., Any]:
    """The callable that `spec` names; modules in the working folder are found, as by `python -m`.

    Raises UserError when the module, the function, or something that the module imports is absent.
    """
    module_name, _, function_name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f'"{spec}": no module named {error.name}; run from its folder or set PYTHONPATH'
        ) from None
    except (ImportError, SyntaxError) as error:
        raise UserError(f'"{spec}": {module_name} cannot be imported: {error}') from None
    factory = getattr(module, function_name, None)
    if not callable(factory):
        raise UserError(f'"{spec}": {module_name} has no function {function_name}')
    made: Callable[..., Any] = factory
    return made
