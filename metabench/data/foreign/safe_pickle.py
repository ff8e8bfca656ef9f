"""Reading pickles of other people without running anything they name.

A pickle is a program: it may name any function of any module and have it called. Here the only names that mean
anything are those that NumPy's arrays, dtypes and numbers and plain containers are pickled under, and none of them
leads to NumPy's own functions: each has a stand-in below that does nothing but read numbers from bytes. Everything
else is refused by name before it is looked up.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from metabench.envs import Array
from metabench.errors import DataError

_NUMBERS = re.compile(r"[biuf][1248]")
"""Codes of the dtypes that are read: truth values, integers and floats; objects, text and records are not."""


_PIECE = 1 << 20
"""Bytes that are read at once of what may be cut short."""


def read_mapping(path: Path) -> dict[str, Any]:
    """The pickled mapping in `path`, by its keys that are text: arrays as arrays, plain values as they are.

    Raises:
        DataError: `path` cannot be read, is cut short or damaged, names anything but NumPy arrays and plain containers,
            or holds something else than a mapping.
    """
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file).load()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _NotAllowedError as error:
        raise DataError(
            f"{path}: {error}: expected NumPy arrays of numbers and plain containers only"
        ) from error
    except EOFError as error:
        raise DataError(f"{path}: is empty or ends too early") from error
    except Exception as error:  # a damaged or hostile stream may make the unpickler raise anything
        raise DataError(
            f"{path}: not a whole pickle: {str(error) or type(error).__name__}"
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: expected a mapping from names to arrays, found {_name_kind(content)}"
        )
    return {
        key: value.array if isinstance(value, _PickledArray) else value
        for key, value in content.items()
        if isinstance(key, str)
    }


class _NotAllowedError(pickle.UnpicklingError):
    """The pickle names or does something that is not allowed."""


class _Numbers:
    """A dtype as pickled: a code, and the byte order that comes with its state."""

    __slots__ = ("dtype",)

    def __init__(self, code: str) -> None:
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _version, order, subdtype, names, fields, *_ = state
        if order not in ("<", ">", "|", "=") or not subdtype is names is fields is None:
            raise _NotAllowedError(f"holds a dtype that is not plain numbers ({str(state)[:60]})")
        self.dtype = self.dtype.newbyteorder(order)


class _PickledArray:
    """An array as pickled: it comes empty, and is filled by its state."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array

    def __setstate__(self, state: Any) -> None:
        _version, shape, numbers, fortran, content = state
        self.array = _make_array(content, numbers, shape, "F" if fortran else "C")


def _make_array(content: Any, numbers: Any, shape: Any, order: Any) -> Array:
    if not isinstance(numbers, _Numbers) or not isinstance(content, bytes | bytearray):
        raise _NotAllowedError("holds an array that is not made of numbers")
    return np.frombuffer(bytes(content), numbers.dtype).reshape(tuple(shape), order=order)


def _read_dtype(code: Any, *_options: Any) -> _Numbers:
    if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
        raise _NotAllowedError(f"holds an array of dtype {str(code)[:60]!r}")
    return _Numbers(code)


def _reconstruct_array(_kind: Any, _shape: Any, _code: Any) -> _PickledArray:
    return _PickledArray(np.zeros(0))


def _read_buffer(
    content: Any, numbers: Any, shape: Any, order: Any, axes: Any = None
) -> _PickledArray:
    if order == "K" and axes is not None:
        return _PickledArray(_make_array(content, numbers, shape, "C").transpose(axes))
    return _PickledArray(_make_array(content, numbers, shape, order))


def _read_scalar(numbers: Any, content: Any) -> Any:
    return _make_array(content, numbers, (), "C").item()


def _make_mapping(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


def _encode_latin(text: Any, encoding: Any) -> bytes:
    """Bytes as protocols before 3 hold them."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _NotAllowedError(f"encodes text as {str(encoding)[:60]!r}")
    return text.encode("latin-1")


def _refuse_ndarray(*_arguments: Any) -> NoReturn:
    raise _NotAllowedError("calls numpy.ndarray")


class _StandIn:
    """What an allowed name stands for: it can be called, and nothing of it can be changed by the pickle."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: Any) -> NoReturn:
        raise _NotAllowedError("changes what a name stands for")


_ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _make_mapping,
    ("_codecs", "encode"): _encode_latin,
    ("numpy", "dtype"): _read_dtype,
    ("numpy", "ndarray"): _refuse_ndarray,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct_array,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct_array,
    ("numpy.core.multiarray", "scalar"): _read_scalar,
    ("numpy._core.multiarray", "scalar"): _read_scalar,
    ("numpy.core.numeric", "_frombuffer"): _read_buffer,
    ("numpy._core.numeric", "_frombuffer"): _read_buffer,
}
"""Every name that a pickle may hold; NumPy 1 wrote `numpy.core`, NumPy 2 writes `numpy._core`."""


class _PlainUnpickler(pickle._Unpickler):
    """An unpickler for which only `_ALLOWED` exists.

    It is the one that is written in Python: the other makes room for as many objects as the stream says that it will
    remember, so that nine bytes take all memory there is.
    """

    def load_bytearray8(self: Any) -> None:
        """Read piece by piece: Python's own makes room for as many bytes as the stream says, had it them or not."""
        (length,) = struct.unpack("<Q", self.read(8))
        content = bytearray()
        while len(content) < length:
            piece = self.read(min(length - len(content), _PIECE))
            if not piece:
                raise pickle.UnpicklingError("it ends too early")
            content += piece
        self.append(content)

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an allowed name."""
        if (module, name) not in _ALLOWED:
            raise _NotAllowedError(f"names {module}.{name}")
        return _StandIn(_ALLOWED[module, name])


def _name_kind(value: Any) -> str:
    return "an array" if isinstance(value, _PickledArray) else type(value).__name__
