"""HTTP: one whole request, one whole answer. The host follows no redirects."""

import base64
import json as _json
from dataclasses import dataclass, field
from typing import Any, Mapping
from urllib.parse import urlencode

from . import _host
from .errors import Failed, Transient

_EXCERPT = 512


@dataclass
class Request:
    """What is sent."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    timeout_ms: int | None = None
    insecure: bool = False


@dataclass
class Response:
    """What came back."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        for other, value in self.headers:
            if other.lower() == name.lower():
                return value
        return None

    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def success(self) -> "Response":
        """The answer itself if its status is one of 200 to 299.

        Otherwise raises `Transient` for 429 and 5xx, with the seconds of a `Retry-After`, and
        `Failed` with a code such as `http-404` for the rest.
        """
        if 200 <= self.status < 300:
            return self
        text = self.text().strip()
        excerpt = text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else "")
        message = f"HTTP {self.status}" + (f": {excerpt}" if excerpt else "")
        if self.status == 429 or self.status >= 500:
            after = (self.header("retry-after") or "").strip()
            raise Transient(message, int(after) * 1000 if after.isdecimal() else None)
        raise Failed(f"http-{self.status}", message)

    def json(self) -> Any:
        """The JSON of the body, if the status says that all went well.

        Raises as `success` does, and `Failed` with the code `bad-json`.
        """
        try:
            return _json.loads(self.success().body)
        except ValueError as error:
            raise Failed("bad-json", str(error)) from error


def get(url: str, **options: Any) -> Response:
    """Sends a GET request; see `request` for the options."""
    return request("GET", url, **options)


def post(url: str, **options: Any) -> Response:
    """Sends a POST request; see `request` for the options."""
    return request("POST", url, **options)


def request(
    method: str,
    url: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    body: bytes | None = None,
    basic_auth: tuple[str, str] | None = None,
    timeout: float | None = None,
    insecure: bool = False,
) -> Response:
    """Sends a request. Any status is an answer: see `Response.success` and `Response.json`.

    `query` goes into the URL, escaped; `json`, `form` or `body` is sent; `timeout` is in seconds;
    `insecure` does not check the server's certificate, if the plugin was granted that.
    Raises `Transient` if the server cannot be reached, and `Failed` with the code `not-granted` if
    the plugin lacks the grant.
    """
    pairs = list((headers or {}).items())
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    if json is not None:
        pairs.append(("content-type", "application/json"))
        body = _json.dumps(json).encode()
    elif form is not None:
        pairs.append(("content-type", "application/x-www-form-urlencoded"))
        body = urlencode(form).encode()
    if basic_auth is not None:
        credentials = base64.b64encode(":".join(basic_auth).encode()).decode()
        pairs.append(("authorization", f"Basic {credentials}"))
    timeout_ms = None if timeout is None else max(1, int(timeout * 1000))
    return _host.backend().send(Request(method, url, pairs, body, timeout_ms, insecure))
