"""A picture from the network: received in pieces, looked at, and only then decoded.

What is sent may be anything: too long, no picture, or a small file that says it has billions of
pixels. Nothing of it is ever written to disk, and no name in it is read.
"""

from __future__ import annotations

import asyncio
import struct

import cv2
import numpy as np
from aiohttp import web

from llia_ros.display.deadline import deadline

MOST_BYTES = 8 * 1024 * 1024
TOO_LONG = f'the picture has more than {MOST_BYTES >> 20} MB: make it smaller'
BROKEN = "the picture's header is broken: save it again"
MOST_PIXELS = 24_000_000
LEAST_SIDE, MOST_SIDE = 16, 12_000
# s for the whole upload: 8 MB over a slow wireless network.
PATIENCE = 25.0
MOST_AT_ONCE = 2

PNG, RIFF, JPEG = b'\x89PNG\r\n\x1a\n', b'RIFF', b'\xff\xd8\xff'
# JPEG: markers that start a frame and so tell its size, those that stand alone, and those with a
# length that may come before. Any other one a decoder might read in another way than this module,
# and find another size behind it.
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
SEGMENTS = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
MOST_MARKERS = 1000


class UploadError(ValueError):
    """The upload is no portrait that can be taken; `status` is what HTTP calls it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Uploads:
    """Takes pictures from requests, few at a time: each may need 100 MB while it is decoded."""

    def __init__(self) -> None:
        self._under_way = 0

    async def picture(self, request: web.Request) -> np.ndarray:
        """The picture that is a request's body, as from `decode`; the body is the file, no form.

        It is decoded in a thread, so that nobody waits for it. Raises UploadError.
        """
        if self._under_way >= MOST_AT_ONCE:
            raise UploadError('other pictures are being received: try again soon', 503)
        self._under_way += 1
        try:
            async with deadline(PATIENCE):
                data = await _body(request)
            return await asyncio.get_running_loop().run_in_executor(None, decode, data)
        except asyncio.TimeoutError:
            raise UploadError(f'the picture took more than {PATIENCE:.0f} s', 408) from None
        finally:
            self._under_way -= 1


async def _body(request: web.Request) -> bytes:
    """All of a body, refused as soon as it is too long, whatever its header says."""
    if request.headers.get('Content-Encoding', 'identity').lower() != 'identity':
        raise UploadError('the picture is packed: send the file as it is', 415)
    if (request.content_length or 0) > MOST_BYTES:
        raise UploadError(TOO_LONG, 413)
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > MOST_BYTES:
            raise UploadError(TOO_LONG, 413)
    return bytes(data)


def decode(data: bytes) -> np.ndarray:
    """A PNG, JPEG or WebP file as RGB picture (height, width, 3) uint8, turned upright.

    Raises UploadError for any other format, for a size that its header tells out of limits, before
    anything is decoded, and for data that is broken.
    """
    if not data:
        raise UploadError('the upload is empty: send a PNG, JPEG or WebP file')
    if len(data) > MOST_BYTES:
        raise UploadError(TOO_LONG, 413)
    width, height = size(data)
    if min(width, height) < LEAST_SIDE:
        raise UploadError(f'a picture of {width}x{height} is too small to show a face')
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise UploadError(
            f'a picture of {width}x{height} has too many pixels: at most '
            f'{MOST_PIXELS // 1_000_000} million, {MOST_SIDE} a side',
            413,
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise UploadError('the picture is broken: save it again')
    # Turned by what its EXIF says, a picture has its sides exchanged.
    if sorted(picture.shape[:2]) != sorted((width, height)):
        raise UploadError('the picture is not as large as its header says: save it again')
    return np.ascontiguousarray(picture[:, :, ::-1])


def size(data: bytes) -> tuple[int, int]:
    """Width and height as a file's header tells them; UploadError where it tells none."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data.startswith(RIFF) and data[8:12] == b'WEBP':
            return _webp(data)
        if data.startswith(JPEG):
            return _jpeg(data)
    except (IndexError, struct.error):
        raise UploadError(BROKEN) from None
    raise UploadError('this is no PNG, JPEG or WebP file', 415)


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b'IHDR':
        raise UploadError(BROKEN)
    width, height = struct.unpack_from('>II', data, 16)
    return width, height


def _webp(data: bytes) -> tuple[int, int]:
    kind, body = data[12:16], 20
    if kind == b'VP8X':
        if data[body] & 0b10:
            raise UploadError('an animation is no portrait: send a still picture', 415)
        return 1 + _three(data, body + 4), 1 + _three(data, body + 7)
    if kind == b'VP8L' and data[body] == 0x2F:
        (bits,) = struct.unpack_from('<I', data, body + 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b'VP8 ' and data[body + 3 : body + 6] == b'\x9d\x01\x2a':
        width, height = struct.unpack_from('<HH', data, body + 6)
        return width & 0x3FFF, height & 0x3FFF
    raise UploadError(BROKEN)


def _three(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(MOST_MARKERS):
        marker = data[at + 1]
        if data[at] != 0xFF:
            break
        if marker == 0xFF:
            at += 1
        elif marker in ALONE:
            at += 2
        elif marker in FRAMES:
            height, width = struct.unpack_from('>HH', data, at + 5)
            return width, height
        elif marker in SEGMENTS:
            (length,) = struct.unpack_from('>H', data, at + 2)
            if length < 2:
                break
            at += 2 + length
        else:
            break
    raise UploadError(BROKEN)
