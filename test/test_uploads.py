"""Uploads: what is taken as a portrait, and what is refused before it costs anything."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import closing

import aiohttp
import cv2
import numpy as np
import pytest
from aiohttp import web

from llia_ros.demo.headless import free_port
from llia_ros.display.server import DisplayServer
from llia_ros.display.uploads import MOST_BYTES, UploadError, Uploads, decode, size

PICTURE = np.zeros((60, 100, 3), np.uint8)
PICTURE[:30, :50] = (250, 30, 10)


def encoded(kind: str, picture: np.ndarray = PICTURE) -> bytes:
    done, data = cv2.imencode(kind, picture[..., ::-1])
    assert done
    return data.tobytes()


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack('>H', 2 + len(data)) + data


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG that says it has that size."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header))
    return b'\x89PNG\r\n\x1a\n' + chunk + encoded('.png')[33:]


def huge_frame() -> bytes:
    return segment(0xC0, struct.pack('>BHHB', 8, 60_000, 60_000, 3) + bytes(9))


@pytest.mark.parametrize('kind', ['.png', '.jpg', '.webp'])
def test_a_picture_is_decoded_as_rgb(kind: str) -> None:
    data = encoded(kind)
    assert size(data) == (100, 60)
    picture = decode(data)
    assert picture.shape == (60, 100, 3) and picture.dtype == np.uint8
    assert np.abs(picture[15, 25].astype(int) - (250, 30, 10)).max() < 20
    assert picture[45, 75].max() < 20


@pytest.mark.parametrize(
    ('data', 'said'),
    [
        (b'', 'is empty'),
        (b'GIF89a' + bytes(100), 'no PNG, JPEG or WebP'),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'no PNG, JPEG or WebP'),
        (b'%!PS-Adobe', 'no PNG, JPEG or WebP'),
        (png_of(60_000, 60_000), '60000x60000 has too many pixels'),
        (png_of(2**31, 1), 'too small'),
        (png_of(12_001, 20), 'too many pixels'),
        (png_of(0, 0), 'too small'),
        (png_of(200, 100), 'broken|not as large'),
        (encoded('.png')[:40], 'broken'),
        (b'\xff\xd8' + huge_frame(), '60000x60000 has too many pixels'),
        # A decoder skips what is no marker; one that skipped more would find another size.
        (b'\xff\xd8\xff\x00' + segment(0, huge_frame())[2:] + encoded('.jpg')[2:], 'broken'),
        (b'\xff\xd8' + b'\xff\xe0\x00\x00' + encoded('.jpg')[2:], 'broken'),
        (b'\xff\xd8' + 100_000 * segment(0xE1, b''), 'broken'),
        (b'\xff\xd8\xff', 'broken'),
        (b'RIFF\x00\x00\x00\x00WEBPVP8L\x05\x00\x00\x00\x2f' + 4 * b'\xff', '16384x16384 has'),
        (b'RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02' + bytes(9), 'animation'),
        (encoded('.png') + bytes(MOST_BYTES), 'more than 8 MB'),
    ],
)
def test_what_is_no_portrait_is_refused_with_a_reason(data: bytes, said: str) -> None:
    with pytest.raises(UploadError, match=said):
        decode(data)


def test_uploads_over_http_end_at_the_limit_whatever_they_say() -> None:
    uploads = Uploads()
    taken: list[tuple[int, ...]] = []

    async def take(request: web.Request) -> web.Response:
        try:
            taken.append((await uploads.picture(request)).shape)
        except UploadError as error:
            return web.Response(status=error.status, text=str(error))
        return web.Response(text='taken')

    async def endless(pieces: list[int]) -> AsyncIterator[bytes]:
        for _ in range(1024):
            pieces.append(1)
            yield bytes(1024 * 1024)

    async def talk() -> list[tuple[int, str]]:
        url = server.url + 'portrait'
        answers: list[tuple[int, str]] = []
        sent: list[int] = []
        async with aiohttp.ClientSession() as session:
            bombs = {'Content-Encoding': 'gzip'}
            for data, headers in (
                (encoded('.png'), {}),
                (b'no picture', {}),
                (zlib.compress(bytes(1000)), bombs),
                (bytes(MOST_BYTES + 1), {}),
            ):
                async with session.post(url, data=data, headers=headers) as answer:
                    answers.append((answer.status, await answer.text()))
            try:
                async with session.post(url, data=endless(sent)) as answer:
                    assert answer.status == 413
            except aiohttp.ClientError:
                # The end of the connection may come before its reason is read.
                pass
            assert len(sent) < 40
        return answers

    with closing(DisplayServer(port=free_port(), routes=[web.post('/portrait', take)])) as server:
        answers = asyncio.run(talk())
        assert server.refused >= 4
    assert [status for status, _ in answers] == [200, 415, 415, 413]
    assert 'no PNG' in answers[1][1] and 'packed' in answers[2][1] and '8 MB' in answers[3][1]
    assert taken == [(60, 100, 3)]
