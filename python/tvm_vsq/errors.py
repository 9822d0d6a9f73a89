"""The errors users meet. Each names the layer, field, file or byte at fault and says what to do about it."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import wraps
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


class VsqError(Exception):
    """Base of every error raised on purpose by tvm_vsq."""


class ConfigError(VsqError):
    """A hardware, technology or quantization configuration that cannot be, or a name that is not known."""


class ModelError(VsqError):
    """A model that cannot be imported: type, dtype, shape or weights."""


class CalibrationError(VsqError):
    """Calibration data that are missing, empty, not finite, or do not match the model's inputs."""


class QuantizationError(VsqError):
    """A layer whose numbers do not fit the integer formats of the accelerator."""


class ScheduleError(VsqError):
    """A layer for which no tile fits the scratchpads or the instruction fields, or a bad schedule
    database."""


class ProgramError(VsqError):
    """An instruction, instruction stream or saved artifact that the accelerator refuses."""


class ToolError(VsqError):
    """A program that is not part of this package, such as an RTL simulator, is missing or fails."""


class InputError(VsqError):
    """An argument of an inference: wrong count, shape, dtype or content."""


def not_finite(name: str) -> InputError:
    """What is said wherever an inference gets NaN or infinity as the input `name`."""
    return InputError(f"input '{name}' contains NaN or infinity; integers cannot represent them")


class VsqWarning(UserWarning):
    """Something that was asked for, or that a model says, and is not done so; the message says what is."""


class VsqDeprecationWarning(VsqWarning, DeprecationWarning):
    """A way of calling that goes away with the next version; the message says what to write."""


def shown(value: object) -> str:
    """`value` for an error message: one line of bounded length, whatever it is."""
    return _SHORT.repr(value).replace("\n", " ")


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = 200

    def repr_int(self, value: int, _level: int) -> str:
        # Python refuses to write integers of thousands of digits
        return repr(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"

    def repr_str(self, value: str, _level: int) -> str:
        return repr(value) if len(value) <= self.maxstring else f"{value[: self.maxstring]!r}..."


_SHORT = _Short()


class phase(ContextDecorator):
    """The boundary to other libraries: what they raise inside becomes a `kind` that says what was going on.

    doing: the phase and its object, "importing the model", "lowering layer 'conv1'". Phases nest; the
    innermost one speaks. Of a function that it decorates, arguments that it does not have are a TypeError
    that names them and the function, as for any other.
    """

    def __init__(self, doing: str, kind: type[VsqError]) -> None:
        self._doing, self._kind = doing, kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, VsqError):
            raise self._kind(
                f"{self._doing} failed with an error that is not expected there: {first_line(error)}; change "
                "what it names, or report it (the cause is attached)"
            ) from error

    def __call__(self, function: _Function) -> _Function:
        """`function`, inside of the phase."""
        signature = inspect.signature(function)

        @wraps(function)
        def checked(*args: Any, **named: Any) -> Any:
            try:
                signature.bind(*args, **named)
            except TypeError as error:
                raise TypeError(f"{function.__name__}(): {error}") from None
            with phase(self._doing, self._kind):
                return function(*args, **named)

        return cast(_Function, checked)


def first_line(error: BaseException) -> str:
    """What an exception of another library says, without its backtrace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
