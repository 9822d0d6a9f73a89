"""Ways of calling that still work, and warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from tvm_vsq.errors import VsqDeprecationWarning, shown

_Function = TypeVar("_Function", bound=Callable[..., Any])


def once_second(name: str, is_one: Callable[[Any], bool]) -> Callable[[_Function], _Function]:
    """For a function of (model, target, *, <name>) that was one of (model, <name>, target) until version 0.1.

    is_one: whether the second argument is a <name>, and so the call one of then.
    """

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def called(*args: Any, **named: Any) -> Any:
            if len(args) < 2 or name in named or not is_one(args[1]):
                return function(*args, **named)
            warnings.warn(
                f"{function.__name__}(model, {shown(args[1])}): the second argument is the target now, as of "
                f"all functions; write {name}={shown(args[1])}",
                VsqDeprecationWarning,
                stacklevel=2,
            )
            return function(args[0], *args[2:], **named, **{name: args[1]})

        return cast(_Function, called)

    return decorate
