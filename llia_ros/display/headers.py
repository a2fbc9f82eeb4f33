"""Headers of every answer: what a browser may do with it, and that nobody else may."""

from __future__ import annotations

from aiohttp import web

# Own scripts and styles only. Pictures of a portrait that is about to be uploaded are blob: or
# data:. `'self'` covers WebSockets of the same host and port.
POLICY = '; '.join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-cache',
}


async def protect(request: web.Request, answer: web.StreamResponse) -> None:
    """Add the headers to an answer that has not got its own; a signal of aiohttp."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    # Which software answers, and its version, is nobody's business.
    answer.headers.pop('Server', None)
