"""Pickles read without Python's unpickler: the opcodes are followed here, and no opcode can run anything.

`pickletools` (standard library) splits the bytes into opcodes; it executes nothing. The machine below keeps the stack
and the memo that the opcodes ask for. Names become `inert.Name`, calls become what `inert.call` makes of them. There is
no way from a file to an import, to a call of a foreign function or to a method such as `__setstate__`, and nothing here
recurses, so that depth costs nothing.

Format: https://github.com/python/cpython/blob/3.11/Lib/pickletools.py; protocols 0 to 5.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from hearthwatch.artifacts.inert import Name, Record, TensorView, call, find, is_key, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.errors import WeightsInvalid

#: Resolves a persistent id to a storage of the file; raises WeightsInvalid with a clause.
StorageLoader = Callable[[Any], Any]

HIGHEST_PROTOCOL = 5
#: torch's magic number has 80 bits, its seeds 64.
MAX_INTEGER_BITS = 128


def unpickle(stream: BytesIO, where: str, limits: CheckpointLimits, load_storage: StorageLoader | None = None) -> Any:
    """Read one pickle as inert values; the stream is left behind its last byte.

    Args:
        stream: bounded by the caller to `limits.pickle_bytes`.
        where: the file, for the message.
        limits: opcodes bound the time and the memory.
        load_storage: what a persistent id means; without it they are refused.

    Returns:
        dicts, lists, tuples, numbers, text, bytes, and `Name`, `Record`, `Storage` and `TensorView` of `inert`. Sets
        are lists. What is shared in the pickle is shared here; it may contain itself.

    Raises:
        WeightsInvalid: not a pickle, over a limit, or it asks for what no checkpoint needs; the message names it.
    """
    try:
        return _Machine(limits.opcodes, load_storage or _no_storage).run(stream)
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{where} {error}. Nothing in it was run") from None


def _no_storage(_identity: Any) -> Any:
    raise WeightsInvalid("refers to something outside itself")


class _Machine:
    """The stack machine of the format. Its errors are clauses, to which `unpickle` adds the file."""

    def __init__(self, opcodes: int, load_storage: StorageLoader) -> None:
        self._left = self._allowed = opcodes
        self._load_storage = load_storage
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each open mark
        self._memo: dict[int, Any] = {}

    def run(self, stream: BytesIO) -> Any:
        for opcode, argument, _ in _split(stream):
            self._spend(1)
            if opcode == "STOP":
                return self._pop()
            if opcode in _VALUES:
                self._push(argument)
            elif opcode in _CONSTANTS:
                self._push(_CONSTANTS[opcode]())
            elif opcode in _ACTIONS:
                _ACTIONS[opcode](self, argument)
            else:
                raise WeightsInvalid(f"uses the pickle opcode {opcode}{_told(argument)}, which torch does not write")
        raise WeightsInvalid("is no pickle: it does not end")

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise WeightsInvalid(f"has more than {self._allowed} pickle opcodes")

    def _push(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise WeightsInvalid(f"has an integer of {value.bit_length()} bits; allowed {MAX_INTEGER_BITS}")
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise WeightsInvalid("is no pickle: it takes from an empty stack")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise WeightsInvalid("is no pickle: it looks at an empty stack")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self._below:
            raise WeightsInvalid("is no pickle: it has no mark")
        items, self._stack = self._stack, self._below.pop()
        return items

    def protocol(self, version: int) -> None:
        if version > HIGHEST_PROTOCOL:
            raise WeightsInvalid(f"is a pickle of protocol {version}; known are 0 to {HIGHEST_PROTOCOL}")

    def frame(self, _size: int) -> None:
        """A hint for reading ahead; the opcodes are the same without it."""

    def mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop(self, _: None) -> None:
        # An open mark directly on top counts as an item, as in Python's own unpickler.
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def pop_mark(self, _: None) -> None:
        self._since_mark()

    def duplicate(self, _: None) -> None:
        self._push(self._top())

    def memoize(self, index: int | None) -> None:
        # Text opcodes can carry any number, and huge ones can be chosen to collide.
        if index is not None and not 0 <= index < 2**32:
            raise WeightsInvalid("is no pickle: a memo index is out of range")
        self._memo[len(self._memo) if index is None else index] = self._top()

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise WeightsInvalid("is no pickle: it recalls what it did not store")
        self._push(self._memo[index])

    def small_tuple(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self._push(tuple(reversed(items)))

    def make_tuple(self, _: None) -> None:
        self._push(tuple(self._since_mark()))

    def make_list(self, _: None) -> None:
        self._push(self._since_mark())

    def make_dictionary(self, _: None) -> None:
        items = self._since_mark()
        self._push({})
        self._set(items)

    def append(self, _: None) -> None:
        self._extend([self._pop()])

    def extend(self, _: None) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Record):  # of a list's subclass: nothing here reads its items
            raise WeightsInvalid("is no pickle: it appends to something else than a list")

    def set_item(self, _: None) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def set_items(self, _: None) -> None:
        self._set(self._since_mark())

    def _set(self, items: list[Any]) -> None:
        target, keys = self._top(), items[::2]
        if len(items) % 2 or not isinstance(target, dict | Record):
            raise WeightsInvalid("is no pickle: it sets items of something else than a dictionary")
        if not all(is_key(key) for key in keys):
            raise WeightsInvalid("has a dictionary with a key that is neither text nor a number")
        if isinstance(target, dict):
            target.update(zip(keys, items[1::2], strict=True))

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push(find(module, name))

    def name_from_stack(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise WeightsInvalid("is no pickle: a name is no text")
        self._push(find(module, name))

    def make_instance(self, argument: str) -> None:
        """INST of protocol 0: a class by its name, called with the items since the mark."""
        arguments = tuple(self._since_mark())
        self.name(argument)
        self._call(self._pop(), arguments)

    def make_object(self, _: None) -> None:
        """OBJ of protocol 1: the same with the class among the items."""
        items = self._since_mark()
        if not items:
            raise WeightsInvalid("is no pickle: an object has no class")
        self._call(items[0], tuple(items[1:]))

    def reduce(self, _: None) -> None:
        arguments, function = self._pop(), self._pop()
        self._call(function, arguments)

    def new(self, _: None) -> None:
        self.reduce(None)

    def new_with_keywords(self, _: None) -> None:
        self._pop()  # keyword arguments of __new__: no class of a checkpoint has any that we read
        self.reduce(None)

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Name):
            raise WeightsInvalid("calls something that is no class")
        if not isinstance(arguments, tuple):
            raise WeightsInvalid("is no pickle: arguments are no tuple")
        # What a call may copy is counted, or a small file could ask for a large list to be copied again and again.
        self._spend(len(arguments) + sum(len(item) for item in arguments if isinstance(item, list | dict | tuple)))
        self._push(call(function.text, arguments))

    def build(self, _: None) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict | TensorView):  # attributes of an OrderedDict (`_metadata`) or of a parameter
            raise WeightsInvalid("sets the state of something that is no object")

    def storage(self, _: None) -> None:
        self._push(self._load_storage(self._pop()))


def _split(stream: BytesIO) -> Any:
    """(opcode name, its argument, position) of each opcode.

    Raises:
        WeightsInvalid: the bytes are not made of opcodes.
    """
    try:
        for opcode, argument, position in pickletools.genops(stream):
            yield opcode.name, argument, position
    # DeprecationWarning: an invalid escape in text, where warnings are errors.
    except (ValueError, DeprecationWarning) as error:
        raise WeightsInvalid(f"is no pickle: {shown(str(error))}") from error


def _told(argument: Any) -> str:
    """A short argument for a message: the extension's number, a persistent id's text."""
    return f" {shown(str(argument))}" if isinstance(argument, int | str) else ""


#: Opcodes that push their own argument, which `pickletools` has decoded.
_VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
#: What is missing here is refused: EXT1, EXT2 and EXT4 (names from a registry of the process), PERSID (a storage by
#: text), NEXT_BUFFER and READONLY_BUFFER (data from outside the file).
_ACTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.protocol,
    "FRAME": _Machine.frame,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.memoize),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "TUPLE1": lambda machine, _: machine.small_tuple(1),
    "TUPLE2": lambda machine, _: machine.small_tuple(2),
    "TUPLE3": lambda machine, _: machine.small_tuple(3),
    "TUPLE": _Machine.make_tuple,
    **dict.fromkeys(("LIST", "FROZENSET"), _Machine.make_list),
    "DICT": _Machine.make_dictionary,
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.extend),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "INST": _Machine.make_instance,
    "OBJ": _Machine.make_object,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
}
