"""Who may ask the page's server for anything: own names, own origin, and a token.

Every request passes here, those of routes that other parts add as well. What it means is
described in docs/security.md.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web
from yarl import URL

from llia_ros.display.limits import AddressLimits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RANDOM = 'random'
# A shorter one could be guessed, even a few at a time.
SHORTEST_TOKEN = 16
# Wrong tokens of one address: ten at once, then one in five seconds.
WRONG_RATE, WRONG_BURST = 0.2, 10
HOST = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?')


class AccessError(ValueError):
    """The token or a name cannot be used."""


class Access:
    """Decides about every request; counts those that it refused.

    `token`: empty asks for none on a loopback address and makes a random one for any other;
    'random' makes one anyway; else the token itself, which is asked for on every address.
    `names`: host names, besides this machine's own, that the page may be asked for under.
    Raises AccessError for a token that could be guessed, or a name that is none.
    """

    def __init__(self, token: str = '', names: Iterable[str] = ()) -> None:
        if token and token != RANDOM and (len(token) < SHORTEST_TOKEN or not _plain(token)):
            raise AccessError(
                f'the token needs {SHORTEST_TOKEN} or more letters, digits, - or _: choose '
                f"another one, or '{RANDOM}'"
            )
        self._names = {name.lower() for name in names}
        for name in self._names:
            if not HOST.fullmatch(name) or ':' in name:
                raise AccessError(f"'{name}' is no host name: give it without scheme and port")
        self._given = token
        # Until the address is known nobody gets in.
        self.token = secrets.token_urlsafe() if token in ('', RANDOM) else token
        self.refused = 0
        self._cookie = 'llia'
        self._wrong = AddressLimits(WRONG_RATE, WRONG_BURST)

    def serve(self, host: str, port: int, bound: Iterable[str]) -> None:
        """Learn where the server listens: `host` as it was named, `bound` the addresses."""
        own = socket.gethostname().lower()
        self._names |= {'localhost', own, f'{own}.local', host.lower()}
        loopback = (ipaddress.ip_address(each.partition('%')[0]).is_loopback for each in bound)
        if not self._given and all(loopback):
            self.token = ''
        # Cookies know no ports: two displays of one machine must not share theirs.
        self._cookie = f'llia_{port}'

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or raise the answer that refuses it."""
        try:
            self._check_names(request)
            granted = self._check_token(request)
        except web.HTTPError:
            self.refused += 1
            raise
        return granted or await handler(request)

    def _check_names(self, request: web.Request) -> None:
        """Refuse names that are not this machine's: a page elsewhere may point its name here."""
        # Not request.host: without the header that one asks the name service, and waits for it.
        host = request.headers.get('Host', '')
        if not HOST.fullmatch(host) or not self._is_own(urlsplit(f'//{host}').hostname):
            raise web.HTTPForbidden(text='unknown host name\n')
        origin = request.headers.get('Origin')
        # Only browsers send an origin, and only they can be led here by a foreign page.
        if origin is not None and urlsplit(origin).netloc != host:
            raise web.HTTPForbidden(text='foreign origin\n')

    def _is_own(self, name: str | None) -> bool:
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return name.lower() in self._names

    def _check_token(self, request: web.Request) -> web.StreamResponse | None:
        if not self.token or _same(request.cookies.get(self._cookie, ''), self._ticket()):
            return None
        given = request.query.get('token')
        asked = given is not None
        scheme, _, bearer = request.headers.get('Authorization', '').partition(' ')
        if not asked and scheme.lower() == 'bearer':
            given = bearer.strip()
        if given is None:
            raise web.HTTPUnauthorized(
                text='a token is needed: open the address that the display has printed\n',
                headers={'WWW-Authenticate': 'Bearer'},
            )
        address = request.remote or ''
        if self._wrong.exhausted(address):
            raise web.HTTPTooManyRequests(
                text='too many wrong tokens\n', headers={'Retry-After': str(int(1 / WRONG_RATE))}
            )
        if not _same(given, self.token):
            self._wrong.take(address)
            raise web.HTTPForbidden(text='wrong token\n')
        # A WebSocket or a command does not follow: the token in its address is good for it alone.
        if not asked or request.method != 'GET' or 'Upgrade' in request.headers:
            return None
        return self._without_token(request)

    def _without_token(self, request: web.Request) -> web.StreamResponse:
        """Lead a browser to the same page, the token now in a cookie and in no address."""
        query = [(key, value) for key, value in request.query.items() if key != 'token']
        # One slash: with two it would be the address of another machine.
        path = '/' + request.path.lstrip('/\\')
        answer = web.Response(status=303)
        answer.headers['Location'] = str(URL.build(path=path, query=query))
        answer.set_cookie(self._cookie, self._ticket(), httponly=True, samesite='Strict')
        return answer

    def _ticket(self) -> str:
        """What the cookie holds: made from the token, so that it outlives the server."""
        return hmac.new(self.token.encode(), b'llia_ros display', hashlib.sha256).hexdigest()


def _plain(token: str) -> bool:
    return re.fullmatch(r'[A-Za-z0-9_-]+', token) is not None


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors='replace'), right.encode())
