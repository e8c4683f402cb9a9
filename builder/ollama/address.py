"""The daemon's address: reads OLLAMA_HOST as Ollama does, and recognises this machine."""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import posixpath
import re
import socket
from urllib.parse import quote, urlsplit

from builder.errors import ToolError

DEFAULT_PORT = 11434
SCHEME_PORTS = {"http": 80, "https": 443}
HIGHEST_PORT = 65535
HOST_HINT = "set OLLAMA_HOST to HOST:PORT or http://HOST:PORT, or unset it for this machine's own"
log = logging.getLogger("builder")


def host() -> str:
    """Give the daemon's address as a URL, from OLLAMA_HOST as Ollama itself reads it.

    The rules are those of envconfig.Host in github.com/ollama/ollama 0.34.2: with `http://` the
    default port is 80, an invalid port means the default, and a path is put before every route.

    Raises:
        ToolError: OLLAMA_HOST is not the address of a daemon.

    """
    text = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    scheme, has_scheme, rest = text.partition("://")
    if not has_scheme:
        scheme, rest = "http", text
    default_port = SCHEME_PORTS.get(scheme, DEFAULT_PORT) if has_scheme else DEFAULT_PORT
    address, _, path = rest.partition("/")
    if scheme.lower() not in ("http", "https"):
        msg = f"OLLAMA_HOST: has the scheme {scheme!r}, expected http or https"
        raise ToolError(msg, hint=HOST_HINT)
    if "@" in address:  # not shown: it may hold a password
        msg = "OLLAMA_HOST: contains a user name, expected an address alone"
        raise ToolError(msg, hint=HOST_HINT)
    name, port = _split_address(address, default_port)
    if port == 0:
        msg = "OLLAMA_HOST: has port 0, expected the port that Ollama listens on"
        raise ToolError(msg, hint=HOST_HINT)
    # Cleaned like Go's URL.JoinPath.
    prefix = posixpath.normpath(f"/{quote(path, errors='surrogateescape')}").strip("/")
    return f"{scheme.lower()}://{_reachable(name)}:{port}" + (f"/{prefix}" if prefix else "")


def _split_address(text: str, default_port: int) -> tuple[str, int]:
    """Split `host:port` like Go's net.SplitHostPort, with Ollama's defaults."""
    both = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([^\[\]:]*)", text)
    if both is None:
        return text.strip("[]") if _parse_ip(text.strip("[]")) else text, default_port
    port = both[3]
    if re.fullmatch(r"[+-]?0*[0-9]{1,5}", port) and 0 <= int(port) <= HIGHEST_PORT:
        return both[1] or both[2] or "", int(port)
    _warn_of_port(port, default_port)
    return both[1] or both[2] or "", default_port


@functools.cache
def _warn_of_port(port: str, default_port: int) -> None:
    """Warn once about an invalid port."""
    message = "OLLAMA_HOST: %r is not a port, expected 1 to %d; %d is taken, as Ollama does"
    log.warning(message, port, HIGHEST_PORT, default_port)


def _reachable(name: str) -> str:
    """Write a host for a URL; an unspecified address becomes this machine's loopback address."""
    ip = _parse_ip(name or "127.0.0.1")
    if ip is not None and ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    if ip is not None:
        return f"[{ip}]" if ip.version == 6 else str(ip)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        msg = f"OLLAMA_HOST: {name!r} is not a host, expected an address or a name"
        raise ToolError(msg, hint=HOST_HINT)
    return "localhost" if name.lower() == "localhost." else name


def _parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an IP address, an IPv4-mapped one as IPv4; None for a name."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def is_loopback(url: str) -> bool:
    """Say whether an address is this machine: localhost, or a name with loopback addresses only."""
    name = urlsplit(url).hostname or ""
    if name in ("localhost", "localhost."):
        return True
    if ip := _parse_ip(name):
        return ip.is_loopback
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except (OSError, UnicodeError):
        return False
    parsed = [_parse_ip(text) for text in addresses]
    return bool(parsed) and all(ip is not None and ip.is_loopback for ip in parsed)


def is_same_daemon(url: str, other: str) -> bool:
    """Say whether two addresses are of the same daemon; loopback addresses with one port are."""
    return url == other or _place(url) == _place(other)


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    return "" if is_loopback(url) else parts.netloc.lower(), parts.port, parts.path
