"""Where the server is: a scheme, a host and perhaps a port.

Plain HTTP is taken only on loopback, where nobody can listen in who could not do worse.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from attorn_agent.errors import UrlError, shown

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?")
_URL_BYTES_MAX = 2048


class ServerUrl:
    """The server's public URL. Made only by parsing."""

    def __init__(self, text: str) -> None:
        """Read a URL. `UrlError`, if it is no URL, more than an origin, or plain HTTP beyond loopback."""
        self.origin = _origin(text)

    def join(self, path: str) -> str:
        """The URL of a path, which begins with `/`."""
        return self.origin + path

    def __str__(self) -> str:
        return self.origin


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or as `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(text: str) -> str:
    if not isinstance(text, str) or len(text) > _URL_BYTES_MAX or not text.isascii() or not text.isprintable():
        raise _refused(str(text), "it is no URL of visible ASCII characters")
    # `urlsplit` forgives blanks and backslashes, which readers of URLs take in different ways.
    if " " in text or "\\" in text:
        raise _refused(text, "it is no URL")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise _refused(text, "it is no URL") from error
    if url.scheme not in {"http", "https"}:
        raise _refused(text, "its scheme is neither https nor http")
    if "@" in url.netloc:
        # It may be a password: it is not shown.
        raise UrlError("the server's URL cannot carry a user or a password")
    if url.path not in {"", "/"} or "?" in text or "#" in text:
        raise _refused(text, "it is more than a scheme, a host and a port")
    if ":" in host:
        try:
            host_text = f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError as error:
            raise _refused(text, "its host is no name and no address") from error
    elif _HOST.fullmatch(host):
        host_text = host
    else:
        raise _refused(text, "its host is no name and no address")
    if url.scheme == "http" and not is_loopback(host):
        raise _refused(text, "plain http is used only on loopback; use https")
    usual = 443 if url.scheme == "https" else 80
    return f"{url.scheme}://{host_text}" + ("" if port in {None, usual} else f":{port}")


def _refused(text: str, problem: str) -> UrlError:
    return UrlError(f"`{shown(text, 256)}` cannot be the server's URL: {problem}")
