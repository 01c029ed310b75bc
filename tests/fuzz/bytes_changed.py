"""Damage to the bytes of a file, as by disks, transfers and people who mean harm."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["change_bytes"]

Change = Callable[[random.Random, bytearray, bytes], None]

PAGE = 512
NUMBERS = (0, 1, -1, 127, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, -(2**63))


def change_bytes(rng: random.Random, content: bytes, other: bytes) -> tuple[bytes, str]:
    """Change a file once or several times; returns it, and what was done."""
    made, done = bytearray(content), []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = rng.choice(CHANGES)
        if made:
            change(rng, made, other)
            done.append(change.__name__)
    return bytes(made), "+".join(done)


def _place(rng: random.Random, made: bytearray) -> int:
    """Anywhere, often near the start, where the structures of small files are."""
    limit = len(made) if rng.random() < 0.6 else min(len(made), 8192)
    return rng.randrange(limit)


def flip_bits(rng: random.Random, made: bytearray, other: bytes) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        made[_place(rng, made)] ^= 1 << rng.randrange(8)


def set_bytes(rng: random.Random, made: bytearray, other: bytes) -> None:
    place = _place(rng, made)
    length = rng.choice((1, 2, 4, 8, 32))
    made[place : place + length] = rng.randbytes(len(made[place : place + length]))


def set_number(rng: random.Random, made: bytearray, other: bytes) -> None:
    """A size, an address or a count that lies."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice((*NUMBERS, len(made), len(made) // 2)) % (1 << 8 * width)
    place = _place(rng, made) // width * width
    made[place : place + width] = value.to_bytes(width, "little")[: len(made) - place]


def change_number(rng: random.Random, made: bytearray, other: bytes) -> None:
    """A number that is wrong by little."""
    width = rng.choice((2, 4, 8))
    place = _place(rng, made) // width * width
    value = int.from_bytes(made[place : place + width], "little")
    changed = (value + rng.choice((-8, -1, 1, 8, value))) % (1 << 8 * width)
    made[place : place + width] = changed.to_bytes(width, "little")[: len(made) - place]


def cut(rng: random.Random, made: bytearray, other: bytes) -> None:
    del made[_place(rng, made) :]


def remove(rng: random.Random, made: bytearray, other: bytes) -> None:
    place = _place(rng, made)
    del made[place : place + rng.choice((1, 8, 100, PAGE))]


def zero_pages(rng: random.Random, made: bytearray, other: bytes) -> None:
    place, length = _place(rng, made) // PAGE * PAGE, PAGE * rng.choice((1, 1, 8))
    made[place : place + length] = bytes(len(made[place : place + length]))


def copy_page(rng: random.Random, made: bytearray, other: bytes) -> None:
    """A page of the file in the place of another one."""
    source, place = (_place(rng, made) // PAGE * PAGE for _ in range(2))
    piece = made[source : source + PAGE]
    made[place : place + len(piece)] = piece


def splice(rng: random.Random, made: bytearray, other: bytes) -> None:
    """A stretch of another file."""
    length = rng.choice((8, 64, PAGE, 4096))
    source = rng.randrange(max(1, len(other)))
    place = _place(rng, made) if rng.random() < 0.5 else min(source, len(made))
    piece = other[source : source + length]
    made[place : place + len(piece)] = piece


def tail_of_another(rng: random.Random, made: bytearray, other: bytes) -> None:
    place = _place(rng, made)
    made[place:] = other[place:]


CHANGES: tuple[Change, ...] = (
    flip_bits,
    flip_bits,
    set_bytes,
    set_bytes,
    set_number,
    set_number,
    set_number,
    change_number,
    change_number,
    cut,
    remove,
    zero_pages,
    copy_page,
    splice,
    tail_of_another,
)
