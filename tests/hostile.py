"""Pickled values that ask for something to be run: most write the file whose path they are given.

`live` ones do so with Python's own unpickler. The test of the zoo itself checks that, so that a payload that could not
harm anybody does not count as one that was stopped.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch_by_hand import Code, call, dotted, instance, name, push


@dataclass(frozen=True)
class Payload:
    """A pickled value that asks for something.

    Attributes:
        culprit: what the refusal must name.
        code: opcodes for a marker file's path.
        live: whether Python's own unpickler would write the marker.
    """

    culprit: str
    code: Callable[[str], bytes]
    live: bool = False


def _shell(marker: str) -> str:
    return f"echo run > '{marker}'"


def _python(marker: str) -> str:
    return f"open({marker!r}, 'w').write('run')"


def _calls(module_name: str, function: str, argument: Callable[[str], Any] = _shell, *, live: bool = False) -> Payload:
    culprit = f"{module_name}.{function}".replace("__builtin__", "builtins")
    return Payload(culprit, lambda marker: call(name(module_name, function), argument(marker)), live)


def _text_pickle(marker: str) -> bytes:
    """Protocol 0, as in every tutorial."""
    return f"cos\nsystem\n(S{_shell(marker)!r}\ntR".encode()


def _inst(marker: str) -> bytes:
    return f"(S{_shell(marker)!r}\nios\nsystem\n".encode()


def _obj(marker: str) -> bytes:
    return b"(" + name("os", "system") + push(_shell(marker)) + b"o"


def _getattr_chain(marker: str) -> Code:
    system = call(name("builtins", "getattr"), call(name("builtins", "__import__"), "os"), "system")
    return call(system, _shell(marker))


def _partial(marker: str) -> Code:
    return call(call(name("functools", "partial"), name("os", "system"), _shell(marker)))


def _attrgetter(marker: str) -> Code:
    getter = call(name("operator", "attrgetter"), "system")
    return call(call(getter, call(name("importlib", "import_module"), "os")), _shell(marker))


def _nested(marker: str) -> bytes:
    """A harmless structure that carries the harmful pickle as bytes."""
    return pickle.dumps(_Bomb(_shell(marker)), protocol=4)


@dataclass
class _Bomb:
    command: str

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def _object_array(_marker: str) -> Code:
    array = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
    dtype = call(name("numpy", "dtype"), "O8", False, True)
    return Code(array + push((1, (1,), dtype, False, [call(name("os", "system"), "true")])) + b"b")


def _object_dtype(_marker: str) -> Code:
    return call(name("numpy", "dtype"), "O8", False, True)


PAYLOADS: Mapping[str, Payload] = {
    "os.system": _calls("os", "system", live=True),
    "posix.system": _calls("posix", "system", live=True),
    "os.popen": _calls("os", "popen"),
    "os.execl": _calls("os", "execl"),
    "subprocess.Popen": _calls("subprocess", "Popen", lambda marker: ["touch", marker]),
    "subprocess.check_output": _calls("subprocess", "check_output", lambda marker: ["touch", marker], live=True),
    "eval": _calls("builtins", "eval", _python, live=True),
    "exec": _calls("builtins", "exec", _python, live=True),
    "eval by Python 2's name": _calls("__builtin__", "eval", _python, live=True),
    "compile": _calls("builtins", "compile", _python),
    "open": _calls("builtins", "open", str),
    "print": _calls("builtins", "print", str),
    "breakpoint": _calls("builtins", "breakpoint", str),
    "io.FileIO": Payload("_io.FileIO", lambda marker: call(name("_io", "FileIO"), marker, "w"), live=True),
    "getattr chain": Payload("builtins.getattr", _getattr_chain, live=True),
    "__import__": _calls("builtins", "__import__", lambda _: "os"),
    "import_module": _calls("importlib", "import_module", lambda _: "os"),
    "runpy": _calls("runpy", "run_path", str),
    "timeit": _calls("timeit", "timeit", _python),
    "cProfile": _calls("cProfile", "run", _python),
    "functools.partial": Payload("functools.partial", _partial, live=True),
    "operator.attrgetter": Payload("operator.attrgetter", _attrgetter, live=True),
    "operator.methodcaller": _calls("operator", "methodcaller", lambda _: "system"),
    "shutil.rmtree": _calls("shutil", "rmtree", str),
    "ctypes": _calls("ctypes", "CDLL", str),
    "pty.spawn": _calls("pty", "spawn", str),
    "code object": _calls("types", "CodeType", str),
    "function object": _calls("types", "FunctionType", str),
    "pickle.loads of bytes": Payload(
        "_pickle.loads", lambda marker: call(name("_pickle", "loads"), _nested(marker)), live=True
    ),
    "torch.load of bytes": Payload(
        "torch.storage._load_from_bytes",
        lambda marker: call(name("torch.storage", "_load_from_bytes"), _nested(marker)),
    ),
    "torch.load": _calls("torch.serialization", "load", str),
    "torch.hub": _calls("torch.hub", "load", str),
    "a torch helper that executes": _calls("torch.jit.unsupported_tensor_ops", "execWrapper", _python),
    "torch's compiler": _calls("torch.utils.cpp_extension", "load_inline", str),
    "numpy helper that executes": _calls("numpy.testing._private.utils", "runstring", _python),
    "numpy.load": _calls("numpy", "load", str),
    "os behind torch.nn": _calls("torch.nn.modules.os", "system"),
    "Popen behind torch.nn": _calls("torch.nn.modules.subprocess", "Popen"),
    "dotted path through torch.nn": Payload(
        "torch.nn.modules.os.system", lambda marker: call(dotted("torch.nn.modules", "os.system"), _shell(marker))
    ),
    "dotted path through Sequential": Payload(
        "torch.nn.modules.container.Sequential.forward.__globals__",
        lambda marker: call(dotted("torch.nn.modules.container", "Sequential.forward.__globals__"), marker),
    ),
    "dotted path through os": Payload("os.path.os.system", lambda marker: call(dotted("os", "path.os.system"), marker)),
    "os behind ultralytics": _calls("ultralytics.utils.os", "system"),
    "os behind ultralytics, dotted": Payload(
        "ultralytics.utils.os.system", lambda marker: call(dotted("ultralytics.utils", "os.system"), _shell(marker))
    ),
    "Popen behind YOLOv5": _calls("utils.subprocess", "Popen"),
    "a function of ultralytics": _calls("ultralytics.utils.checks", "check_requirements"),
    "a lookalike package": _calls("ultralytics_evil", "Model"),
    "a lookalike of torch.nn": _calls("torch.nn.modulesx", "Conv2d"),
    "a class of the program itself": _calls("__main__", "Model"),
    "a name with control characters": Payload("\\x1b[31mos", lambda _: dotted("\x1b[31mos", "system")),
    "object array": Payload("numpy.dtype('O8')", _object_array),
    "object dtype": Payload("numpy.dtype('O8')", _object_dtype),
    "structured dtype": Payload(
        "numpy.dtype(something else than text)", lambda _: call(name("numpy", "dtype"), [("a", "O")])
    ),
    "copyreg._reconstructor": _calls("copyreg", "_reconstructor"),
    "copy_reg of Python 2": _calls("copy_reg", "_reconstructor"),
    "the registry of extensions": _calls("copyreg", "add_extension"),
    "EXT1": Payload("EXT1 7", lambda _: b"\x82\x07"),
    "EXT2": Payload("EXT2 300", lambda _: b"\x83" + struct.pack("<H", 300)),
    "EXT4": Payload("EXT4 70000", lambda _: b"\x84" + struct.pack("<i", 70_000)),
    "text protocol": Payload("os.system", _text_pickle, live=True),
    "INST": Payload("os.system", _inst, live=True),
    "OBJ": Payload("os.system", _obj),
    "NEWOBJ": Payload("os.system", lambda marker: name("os", "system") + push((_shell(marker),)) + b"\x81"),
    "NEWOBJ_EX": Payload("os.system", lambda marker: name("os", "system") + push((marker,)) + b"}\x92"),
    "in a persistent id": Payload(
        "os.system", lambda marker: Code(push(("storage", call(name("os", "system"), _shell(marker)))) + b"Q")
    ),
    "text persistent id": Payload("PERSID os.system", lambda _: b"Pos.system\n"),
    "buffer from outside": Payload("NEXT_BUFFER", lambda _: b"\x97"),
    "factory of a defaultdict": Payload(
        "os.system", lambda _: call(name("collections", "defaultdict"), name("os", "system"))
    ),
    "function of a tensor subclass": Payload(
        "makes a tensor with collections.OrderedDict",
        lambda marker: call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            name("collections", "OrderedDict"),
            name("torch", "Tensor"),
            (marker,),
            {},
        ),
    ),
    "state set on a class": Payload(
        "sets the state of something that is no object",
        lambda _: Code(name("torch.nn.modules.conv", "Conv2d") + push({"__reduce__": 1}) + b"b"),
    ),
    "an object is called": Payload(
        "calls something that is no class",
        lambda marker: call(instance(name("torch.nn.modules.conv", "Conv2d"), {}), marker),
    ),
    "state with a payload": Payload(
        "os.system",
        lambda marker: instance(name("torch.nn.modules.conv", "Conv2d"), call(name("os", "system"), _shell(marker))),
    ),
    "__setstate__ by name": Payload(
        "builtins.setattr", lambda _: call(name("builtins", "setattr"), name("torch", "Size"), "x", 1)
    ),
}
