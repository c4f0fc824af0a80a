"""The objects that a router sees in unit tests, and what its changes make of them."""

import copy
import json
import re
from typing import Any, Callable

from .routers import ObjectQuery, Put, Remove

_ROUNDS = 4
_PART = re.compile(r"(!?)([^!=]+)(?:(!=|==?)(.*))?")


def _key(object: dict[str, Any], namespace: str) -> tuple[str, str, str, str]:
    metadata = object["metadata"]
    place = metadata.get("namespace", namespace)
    return object["apiVersion"], object["kind"], place, metadata["name"]


def _fits(selector: str, labels: dict[str, str]) -> bool:
    """Selectors of the forms that routers need: `a=b`, `a==b`, `a!=b`, `a`, `!a`."""
    for part in filter(None, (part.strip() for part in selector.split(","))):
        found = _PART.fullmatch(part)
        if found is None or re.search("[( ]", part):
            raise ValueError(f"tests know no selectors such as {selector!r}")
        absent, name, how, value = found.groups()
        if absent or how is None:
            fits = (name in labels) != bool(absent)
        else:
            fits = (labels.get(name) == value) == (how != "!=")
        if not fits:
            return False
    return True


def _find(objects: list[dict], namespace: str, query: ObjectQuery) -> list[dict]:
    def wanted(object: dict) -> bool:
        api_version, kind, place, name = _key(object, namespace)
        return (
            (api_version, kind) == (query.api_version, query.kind)
            and place == (query.namespace or namespace)
            and query.name in (None, name)
            and _fits(query.label_selector or "", object["metadata"].get("labels", {}))
        )

    return [object for object in objects if wanted(object)]


def seen(
    objects: list[dict], namespace: str, references: Callable[[list[str]], list[ObjectQuery]]
) -> list[str]:
    """What a router sees: the objects that it asks for and no other, as texts."""
    asked: set[ObjectQuery] = set()
    found: list[str] = []
    for _ in range(_ROUNDS):
        fresh = [query for query in references(list(found)) if query not in asked]
        if not fresh:
            break
        for query in fresh:
            asked.add(query)
            found.extend(json.dumps(object) for object in _find(objects, namespace, query))
    return found


def applied(objects: list[dict], namespace: str, changes: list[Put | Remove]) -> list[dict]:
    """The objects when some changes were made."""
    all = {_key(object, namespace): object for object in objects}
    for change in changes:
        if isinstance(change, Put):
            all[_key(change.object, namespace)] = copy.deepcopy(change.object)
        else:
            place = change.namespace or namespace
            all.pop((change.api_version, change.kind, place, change.name), None)
    return list(all.values())
