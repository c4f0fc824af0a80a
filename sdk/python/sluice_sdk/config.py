"""From JSON to a dataclass, with errors that name the field, and back."""

import dataclasses
import json
import types
import typing
from typing import Any

from .errors import Failed, InvalidConfig

_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


def parse(config: type, text: str) -> Any:
    """Reads a configuration. `config` is a dataclass.

    Its fields are `str`, `int`, `float`, `bool`, `list[...]`, `dict[str, ...]`, `Any`, another
    dataclass, or one of these `| None`. A field without a default is required, and one that the
    dataclass does not have is refused. `dataclasses.field(metadata={"name": "queryName"})` gives a
    field another name for users.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidConfig(f"no JSON: {error}") from error
    return _read(config, value, "")


def dump(value: Any) -> str:
    """The JSON of dataclasses and of what JSON has, with the names that `parse` reads.

    Raises `Failed` with the code `not-json`.
    """
    try:
        return json.dumps(_plain(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failed("not-json", f"the answer is no JSON: {error}") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (f for f in dataclasses.fields(value) if f.init)
        return {f.metadata.get("name", f.name): _plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def plugin(given: type, methods: list[str]) -> type:
    """Checks that a class has what a plugin must, and gives it back."""
    for name in methods:
        if not hasattr(given, name):
            raise TypeError(f"{given.__name__} has no method {name}")
    if not isinstance(getattr(given, "Config", None), type):
        raise TypeError(f"{given.__name__} has no dataclass Config")
    return given


def opened(given: type, plugin: Any, text: str) -> Any:
    """Reads the configuration of a plugin, and has the plugin check it."""
    config = parse(given.Config, text)
    validate = getattr(plugin, "validate", None)
    if validate is not None:
        validate(config)
    return config


def _wrong(path: str, value: Any, wanted: str) -> InvalidConfig:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return InvalidConfig(f"{path + ': ' if path else ''}must be {wanted}, and is {shown}")


def _read(wanted: Any, value: Any, path: str) -> Any:
    if wanted is Any:
        return value
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return _read_union(wanted, value, path)
    if dataclasses.is_dataclass(wanted):
        return _read_object(wanted, value, path)
    if origin is list or wanted is list:
        if not isinstance(value, list):
            raise _wrong(path, value, "a list")
        (of,) = typing.get_args(wanted) or (Any,)
        return [_read(of, item, f"{path}[{index}]") for index, item in enumerate(value)]
    if origin is dict or wanted is dict:
        if not isinstance(value, dict):
            raise _wrong(path, value, "an object")
        (_, of) = typing.get_args(wanted) or (str, Any)
        return {name: _read(of, item, _below(path, name)) for name, item in value.items()}
    return _read_plain(wanted, value, path)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _read_union(wanted: Any, value: Any, path: str) -> Any:
    options = typing.get_args(wanted)
    if value is None and type(None) in options:
        return None
    others = [option for option in options if option is not type(None)]
    for option in others[:-1]:
        try:
            return _read(option, value, path)
        except InvalidConfig:
            continue
    return _read(others[-1], value, path)


def _read_plain(wanted: Any, value: Any, path: str) -> Any:
    # True and false are integers in Python, and none to users.
    is_bool = isinstance(value, bool)
    if wanted is float and isinstance(value, (int, float)) and not is_bool:
        return float(value)
    if wanted in _NAMES:
        if isinstance(value, wanted) and (wanted is bool or not is_bool):
            return value
        raise _wrong(path, value, _NAMES[wanted])
    raise TypeError(f"{path}: configurations have no fields of the type {wanted}")


def _read_object(wanted: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(path, value, "an object")
    hints = typing.get_type_hints(wanted)
    fields = {f.metadata.get("name", f.name): f for f in dataclasses.fields(wanted) if f.init}
    for name in value:
        if name not in fields:
            known = ", ".join(fields) or "nothing"
            raise InvalidConfig(f"{_below(path, name)}: unknown field, expected {known}")
    found = {}
    for name, f in fields.items():
        if name in value:
            found[f.name] = _read(hints[f.name], value[name], _below(path, name))
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InvalidConfig(f"{_below(path, name)}: is missing")
    return wanted(**found)
