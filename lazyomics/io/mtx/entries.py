"""Entries of Matrix Market files, block after block of text."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.canonical import index_dtype
from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.importing import import_whole

__all__ = ["Entries", "MtxHeader", "as_text_errors", "entries", "open_bytes", "read_header"]

BLOCK = 4 << 20  # bytes of text: a million lines at most, 30 MB when they are parsed
FIELDS = ("integer", "unsigned-integer", "real", "double", "pattern")
SYMMETRIES = ("general", "symmetric", "skew-symmetric")
DAMAGED_STREAMS = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError)


class Entries(NamedTuple):
    """Positions, counted from 0, and values, each of shape (n,)."""

    rows: NDArray[Any]
    cols: NDArray[Any]
    values: NDArray[Any]


@dataclass(frozen=True)
class MtxHeader:
    """What a file says of its matrix.

    Attributes
    ----------
    path
        The file.
    layout
        ``"coordinate"``, or ``"array"`` of dense values.
    field, symmetry
        In the words of the format.
    shape, stored
        Rows and columns, and lines of entries.
    lines
        Lines of the file before the first entry.
    """

    path: Path
    layout: str
    field: str
    symmetry: str
    shape: tuple[int, int]
    stored: int
    lines: int

    @property
    def is_whole(self) -> bool:
        """Whether values are integers."""
        return self.field in ("integer", "unsigned-integer")

    @property
    def most(self) -> int:
        """Entries of the matrix; at most, where half of a symmetric one is stored."""
        return self.stored if self.symmetry == "general" else 2 * self.stored

    def damaged(self, line: int, expected: str, found: str) -> FileFormatError:
        """Build the error for a line of the file."""
        return _damaged(self.path, line, expected, found)


def _damaged(path: Path, line: int, expected: str, found: str) -> FileFormatError:
    hint = "The file is damaged or no Matrix Market file; fetch or write it again."
    return FileFormatError.at(path, f"line {line}", expected=expected, found=found, hint=hint)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file of text, decompressed if its name ends in ``.gz`` or ``.bz2``."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return cast("IO[bytes]", bz2.open(path, "rb")) if path.suffix == ".bz2" else path.open("rb")


def as_text_errors(path: Path, error: Exception, line: int) -> FileFormatError:
    """Say where decompressing a file failed."""
    whole = "a whole compressed file" if path.suffix in (".gz", ".bz2") else "text"
    return _damaged(path, line, whole, f"an end or damage in it ({error})")


def read_header(path: Path) -> MtxHeader:
    """Read the header of a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is none of a Matrix Market file.
    UnsupportedError
        If values are complex.
    """
    try:
        with open_bytes(path) as file:
            return _header(path, file)
    except DAMAGED_STREAMS as error:
        raise as_text_errors(path, error, 1) from error
    except OSError as error:
        if path.suffix != ".bz2" or error.errno is not None:
            raise
        raise as_text_errors(path, error, 1) from error


def _header(path: Path, file: IO[bytes]) -> MtxHeader:
    first = file.readline(BLOCK)
    words = first.decode("latin-1").lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        expected = "'%%MatrixMarket matrix coordinate integer general' or the like"
        raise _damaged(path, 1, expected, shown(first))
    layout, field, symmetry = words[2:]
    if field == "complex" or symmetry == "hermitian":
        raise UnsupportedError(f"{path} has complex values, which AnnData does not hold")
    if layout not in ("coordinate", "array") or field not in FIELDS or symmetry not in SYMMETRIES:
        raise _damaged(
            path, 1, f"one of {FIELDS} and of {SYMMETRIES}", f"{layout} {field} {symmetry}"
        )
    lines, line = 2, file.readline(BLOCK)
    while line.startswith(b"%") or line in (b"\n", b"\r\n"):
        lines, line = lines + 1, file.readline(BLOCK)
    sizes = line.split()
    n_sizes = 3 if layout == "coordinate" else 2
    if len(sizes) != n_sizes or not all(size.isdigit() for size in sizes):
        raise _damaged(path, lines, "rows, columns and number of entries", shown(line))
    n, m = int(sizes[0]), int(sizes[1])
    stored = int(sizes[2]) if layout == "coordinate" else n * m
    if max(n, m, stored) > np.iinfo(np.int64).max or (symmetry != "general" and n != m):
        raise _damaged(path, lines, "sizes of a matrix", shown(line))
    return MtxHeader(path, layout, field, symmetry, (n, m), stored, lines)


def shown(line: bytes) -> str:
    """The start of a line, for messages."""
    text = line[:60].decode("utf-8", "replace").rstrip("\r\n")
    return repr(text) if line else "the end of the file"


def entries(header: MtxHeader) -> Iterator[Entries]:
    """Read the entries of a coordinate file in their order.

    Parameters
    ----------
    header
        Of the file.

    Yields
    ------
    Positions of int32 (int64 in matrices of more lines) and values of int64 or float64. Mirrored
    entries of symmetric matrices follow those of their block.

    Raises
    ------
    FileFormatError
        If a line is no entry or one outside of the matrix, or there are fewer or more of them than
        the header says: names the line.

    Notes
    -----
    The next block is read and decompressed in a thread while one is parsed. Peak memory: about 50
    MB, whatever the file holds.
    """
    found, lines = 0, header.lines
    for text in _blocks_of_lines(header):
        if isinstance(text, Exception):
            raise as_text_errors(header.path, text, lines + 1) from text
        made, n_lines = _parsed(header, text, lines)
        lines += n_lines
        found += len(made.values)
        if found > header.stored:
            raise header.damaged(
                lines, f"{header.stored} entries, as its header says", f"at least {found}"
            )
        yield made if header.symmetry == "general" else _mirrored(header, made)
    if found < header.stored:
        raise header.damaged(
            lines + 1,
            f"{header.stored} entries, as its header says",
            f"the end of the file after {found}",
        )


def _blocks_of_lines(header: MtxHeader) -> Iterator[NDArray[np.uint8] | Exception]:
    """Text of whole lines behind the header; an error where it cannot be decompressed."""
    path = header.path
    with open_bytes(path) as file, ThreadPoolExecutor(1) as ahead:
        for _ in range(header.lines):
            file.readline()
        rest = b""
        pending = ahead.submit(_read, file, path)
        while block := pending.result():
            if isinstance(block, Exception):
                yield block
                return
            pending = ahead.submit(_read, file, path)
            stop = block.rfind(b"\n") + 1
            if stop == 0:
                rest += block
                if len(rest) > BLOCK:
                    raise header.damaged(
                        header.lines + 1, "lines of two or three numbers", "one without an end"
                    )
                continue
            yield np.frombuffer(rest + block[:stop] if rest else block, np.uint8, len(rest) + stop)
            rest = block[stop:]
        if rest:
            yield np.frombuffer(rest + b"\n", np.uint8)


def _read(file: IO[bytes], path: Path) -> bytes | Exception:
    try:
        return file.read(BLOCK)
    except DAMAGED_STREAMS as error:
        return error
    except OSError as error:
        if path.suffix != ".bz2" or error.errno is not None:
            raise
        return error


def _parsed(header: MtxHeader, text: NDArray[np.uint8], lines: int) -> tuple[Entries, int]:
    n = int(np.count_nonzero(text == 10))
    positions = np.empty((2, n), index_dtype(max(header.shape)))
    has_values = header.field != "pattern"
    values = np.empty(n, np.int64 if header.is_whole else np.float64)
    aside = np.empty((n if has_values else 0, 3), np.int64)
    loops = import_whole("lazyomics.io.mtx.loops")
    found, n_aside, n_lines, problem = loops.parse_lines(
        text, has_values, header.is_whole, header.shape, positions, values, aside
    )
    if problem:
        line = text.tobytes().split(b"\n", n_lines)[n_lines - 1]
        expected = loops.PROBLEMS[problem]
        if problem > 4:
            expected += f" (1 to {header.shape[problem - 5]})"
        raise header.damaged(lines + n_lines, expected, shown(line))
    for entry, start, stop in aside[:n_aside].tolist():
        token = text[start:stop].tobytes()
        value = _number(token, header.is_whole)
        if value is None:
            before = int(np.count_nonzero(text[:start] == 10))
            raise header.damaged(
                lines + before + 1, "an integer" if header.is_whole else "a number", shown(token)
            )
        values[entry] = value
    return Entries(positions[0, :found], positions[1, :found], values[:found]), n_lines


def _number(token: bytes, is_whole: bool) -> float | int | None:
    """The value of a text, or None if it is no number."""
    try:
        if b"_" in token:
            return None
        if not is_whole:
            return float(token)
        value = int(token)
    except ValueError:
        return None
    return value if abs(value) <= np.iinfo(np.int64).max else None


def _mirrored(header: MtxHeader, made: Entries) -> Entries:
    """Add the other half of a symmetric matrix."""
    rows, cols, values = made
    off = np.flatnonzero(rows != cols)
    other = -values[off] if header.symmetry == "skew-symmetric" else values[off]
    return Entries(
        np.concatenate([rows, cols[off]]),
        np.concatenate([cols, rows[off]]),
        np.concatenate([values, other]),
    )
