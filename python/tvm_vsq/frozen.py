"""Descriptions that cannot change, and whose errors are the product's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import Self

from tvm_vsq.errors import ConfigError, VsqError, shown


class Frozen(BaseModel):
    """A description that cannot change, has no unknown keys, and takes no value of another type.

    Constructors, `model_validate` and `model_copy` check every field, and raise `refusal` with a line for
    each that is wrong. `example` is what shows every field, for the remedy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    refusal: ClassVar[type[VsqError]] = ConfigError
    example: ClassVar[str] = ""

    def __init__(self, **fields: Any) -> None:
        with _translated(type(self), type(self).__name__):
            super().__init__(**fields)

    # Fields that are descriptions themselves are then checked within the whole, whose errors have the path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As pydantic's, but raises `refusal`."""
        with _translated(cls, cls.__name__):
            return super().model_validate(obj, **options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """As pydantic's, but raises `refusal`."""
        with _translated(cls, cls.__name__):
            return super().model_validate_json(json_data, **options)

    @classmethod
    def checked(cls, data: Any, source: str) -> Self:
        """From a mapping that came from `source`, with which each line of an error begins."""
        with _translated(cls, source):
            return super().model_validate(data)

    @classmethod
    def checked_json(cls, text: str, source: str) -> Self:
        """As `checked`, from JSON, in which a list may stand for a tuple."""
        with _translated(cls, source):
            return super().model_validate_json(text)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values for some fields, checked like any other."""
        copy = super().model_copy(deep=deep)
        if not update:
            return copy
        fields = {name: getattr(copy, name) for name in self.model_fields_set}
        return type(self).model_validate({**fields, **update})

    if not TYPE_CHECKING:  # where assignments are errors of the type checker

        def __setattr__(self, name: str, value: Any) -> None:
            self._refuse_change(name)

        def __delattr__(self, name: str) -> None:
            self._refuse_change(name)

    def _refuse_change(self, name: str) -> None:
        kind = type(self).__name__
        raise self.refusal(f"{kind}: {name} cannot be changed; make another one: model_copy(update={{...}})")


@contextmanager
def _translated(model: type[Frozen], source: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        lines = [_explain(dict(item), source, model.example) for item in error.errors(include_url=False)]
        raise model.refusal("\n".join(lines[:_LINES])) from None
    except RecursionError:
        raise model.refusal(f"{source}: nested too deeply") from None


_LINES = 20


def _explain(item: dict[str, Any], source: str, example: str) -> str:
    """A complaint as a line: the key with its path, what it was given, and what to do."""
    key = shown(".".join(map(str, item["loc"])))[1:-1]
    hint = f" ({example} shows every key)" if example else ""
    if item["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; remove it or correct its spelling{hint}"
    if item["type"] == "missing":
        return f"{source}: key '{key}' is missing; add it{hint}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{source}: {key}: {message} (got {shown(item['input'])})" if key else f"{source}: {message}"
