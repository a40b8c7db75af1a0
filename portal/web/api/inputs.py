"""What the API takes: bodies and queries as types, and refusals in words that hold the cure."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from portal.validation import FieldError, Invalid
from portal.web.api import documents

Given = TypeVar("Given", bound="Input")
# More of them help nobody, and a small body could have a million.
MOST_ERRORS = 100
_READ = "gatepost.body"


class Input(BaseModel):
    """Keys that a call takes; every other one is refused by name.

    `refused` says of known words why they are not taken here.
    """

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)
    refused: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def names(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]

    def given(self) -> dict[str, Any]:
        """The keys that the caller wrote, with null where it wrote null."""
        return self.model_dump(exclude_unset=True)

    def check(self) -> None:
        """What a call checks beyond types and with no database, before anything is locked: it may
        take long. Raises Invalid."""

    @property
    def is_large(self) -> bool:
        """Whether storing it keeps others waiting for longer than a moment."""
        return False


def body(model: type[Given]) -> Given:
    """The request's body, read once. Raises Invalid with every wrong key at once."""
    found = request.environ.get(_READ)
    if type(found) is not model:
        found = _checked(model, documents.document())
        request.environ[_READ] = found
    return found


def query(model: type[Given]) -> Given:
    """What stands behind the question mark. Raises Invalid; an empty value counts as none."""
    given: dict[str, Any] = {}
    errors = []
    for name, values in request.args.lists():
        if len(values) > 1:
            errors.append(FieldError(name, "Give this once."))
        elif any(not c.isprintable() for c in values[0]):
            errors.append(FieldError(name, "Remove the control character."))
        elif values[0] != "" or name not in model.names():
            given[name] = values[0]
    if errors:
        raise Invalid(errors)
    return _checked(model, given)


def _checked(model: type[Given], raw: Mapping[str, Any]) -> Given:
    try:
        return model.model_validate(raw)
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_input=False)[:MOST_ERRORS]
        raise Invalid(_explained(model, error) for error in errors) from None


def _explained(model: type[Input], error: Any) -> FieldError:
    place = [str(part) for part in error["loc"] if part not in _BRANCHES]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden" and len(place) == 1:
        return FieldError(place[0], _unknown(model, place[0]))
    if kind == "value_error":
        return FieldError(".".join(place), str(context["error"]))
    message = _MESSAGES.get(kind, error["msg"] + ".").format(**context)
    return FieldError(".".join(place), message)


def _unknown(model: type[Input], name: str) -> str:
    for word, reason in model.refused.items():
        if name == word or (word.startswith("_") and name.endswith(word)):
            return reason
    close = difflib.get_close_matches(name, model.names(), n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"There is no such key.{meant} Known: {', '.join(model.names())}."


# How pydantic marks the branches of a union in the place of an error.
_BRANCHES = frozenset({"literal['any']", "int", "str"})
_MESSAGES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such key.",
    "string_type": "Give this as text.",
    "bool_type": "Give true or false.",
    "int_type": "Give a whole number.",
    "int_parsing": "Give a whole number.",
    "int_parsing_size": "Give a smaller number.",
    "greater_than_equal": "Give {ge} or more.",
    "less_than_equal": "Give {le} or less.",
    "list_type": "Give a list.",
    "dict_type": "Give an object.",
    "model_type": "Give an object.",
    "enum": "Choose one of {expected}.",
    "literal_error": "Choose one of {expected}.",
    "string_too_long": "Shorten this to {max_length} characters or fewer.",
    "string_too_short": "Enter at least {min_length} characters.",
    "too_long": "Name at most {max_length:,}; these are {actual_length:,}. Split them over "
    "several calls, or name a role.",
    "uuid_parsing": "Give an id as this API gives it, for example in next or id.",
    "uuid_type": "Give an id as text.",
}
