"""torch's files that break a rule of their format: they reach out, claim too much, or would exhaust their reader."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torch_by_hand import (
    Code,
    call,
    dotted,
    legacy_file,
    module,
    name,
    parameter,
    pickled,
    push,
    save_legacy,
    save_zip,
    storage,
    tensor,
    zip_file,
)


@dataclass(frozen=True)
class Malformed:
    """A file that breaks a rule.

    Attributes:
        complaint: what the refusal must say.
        build: writes the file into an empty folder, and returns the path that is to be read.
    """

    complaint: str
    build: Callable[[Path], Path]


WEIGHT = {"fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
SIX_BYTES = np.arange(6, dtype=np.float32).tobytes()
_CONV = name("torch.nn.modules.conv", "Conv2d")
_NET = name("ultralytics.nn.tasks", "DetectionModel")
#: Deeper than any recursion that Python allows, and than C stacks bear.
DEEP = 100_000


def _in_zip(value: Any, storages: Mapping[str, bytes] | None = None, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: zip_file(folder / "net.pt", value, storages or {"0": SIX_BYTES}, **options)


def _of(shape: Any, strides: Any = None, offset: Any = 0, count: int = 6) -> Callable[[Path], Path]:
    """One tensor of a storage of six numbers."""
    return _in_zip({"w": tensor(storage("0", count), shape, strides, offset)})


def _model(**attributes: Any) -> Code:
    weight = parameter(tensor(storage("0", 6), (2, 3)))
    return module(_NET, modules={"fc": module(_CONV, parameters={"weight": weight})}, **attributes)


def _laughs(levels: int) -> Code:
    """A list of ten times the list before it; the last has 10 to the power of `levels` values."""
    code = b"]" + push("ha") + b"aq\x01"
    for level in range(1, levels):
        code += b"0](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1])
    return Code(code)


def _nested_objects(depth: int) -> Code:
    """An object whose argument is an object, and so on."""
    return Code(_CONV + b"q\x01" + b"h\x01" * (depth - 1) + b")" + b"\x81\x85" * (depth - 1) + b"\x81")


def _nested_modules(depth: int) -> Code:
    """A module whose only part is a module, and so on."""
    state = b"}(" + push("_parameters") + b"}" + push("_buffers") + b"}" + push("_modules") + b"}" + push("a")
    opened = _CONV + b")\x81" + state
    innermost = module(_CONV)
    return Code(opened * depth + innermost + b"sub" * depth)


def _module_that_holds_itself() -> Code:
    state = (
        b"}(" + push("_parameters") + b"}" + push("_buffers") + b"}" + push("_modules") + b"}" + push("a") + b"h\x63s"
    )
    return Code(_CONV + b")\x81q\x63" + state + b"ub")


def _module_laughs(levels: int, hidden: Any = None, empty: Any = None) -> Code:
    """Each level has the level before twice: 2 to the power of `levels` modules; the first has long parts."""
    code: bytes = module(_CONV, empty, _non_persistent_buffers_set=hidden) + b"q\x01"
    for level in range(1, levels):
        before = Code(b"h" + bytes([level]))
        code += b"0" + module(_CONV, modules={"a": before, "b": before}) + b"q" + bytes([level + 1])
    return Code(code)


def _copies() -> Code:
    """A dictionary is copied from a long list again and again, which costs few bytes."""
    pairs = push([[index, index] for index in range(1000)])
    again = name("collections", "OrderedDict") + b"h\x01\x85R0"
    return Code(pairs + b"q\x01" + again * 5000)


def _views(count: int) -> Callable[[Path], Path]:
    """Many tensors of one large storage, each claiming nearly all of it."""
    views = {f"w{index}": tensor(storage("0", 10_000), (9_000,), (1,), index) for index in range(count)}
    return _in_zip(views, {"0": bytes(40_000)})


def _patched(build: Callable[[Path], Path], patch: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def built(folder: Path) -> Path:
        path = build(folder)
        path.write_bytes(patch(path.read_bytes()))
        return path

    return built


def _good(folder: Path) -> Path:
    return save_zip(folder / "net.pt", WEIGHT)


def _good_legacy(folder: Path) -> Path:
    return save_legacy(folder / "net.pt", WEIGHT)


def _zipped(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Callable[[Path], Path]:
    """A zip file with these entries, the same name more than once if so asked."""

    def built(folder: Path) -> Path:
        # Written under other names of the same length, because zipfile warns of a second entry of one name.
        with zipfile.ZipFile(folder / "net.pt", "w", method) as archive:
            for index, (entry, content) in enumerate(entries):
                archive.writestr(f"{index:0{len(entry)}d}", content)
        data = (folder / "net.pt").read_bytes()
        for index, (entry, _) in enumerate(entries):
            data = data.replace(f"{index:0{len(entry)}d}".encode(), entry.encode())
        (folder / "net.pt").write_bytes(data)
        return folder / "net.pt"

    return built


def _central(data: bytes, number: int = 0) -> int:
    """Offset of the directory's entry of that number."""
    position = data.index(b"PK\x01\x02")
    for _ in range(number):
        position = data.index(b"PK\x01\x02", position + 1)
    return position


def _set(data: bytes, position: int, packed: bytes) -> bytes:
    return data[:position] + packed + data[position + len(packed) :]


def _encrypted(data: bytes) -> bytes:
    return _set(data, _central(data) + 8, b"\x01\x00")


def _moved(data: bytes) -> bytes:
    """The directory's second entry points at the first one's data."""
    return _set(data, _central(data, 1) + 42, data[_central(data) + 42 : _central(data) + 46])


def _inside_another(folder: Path) -> Path:
    """An entry whose header and data lie inside another entry's data, so that one byte counts twice."""
    inner = zip_file(folder / "inner.zip", None, {"1": SIX_BYTES}).read_bytes()
    start = inner.index(b"PK\x03\x04", 1)
    record = inner[start : inner.index(b"PK\x03\x04", start + 1)]
    path = zip_file(folder / "net.pt", {"w": tensor(storage("1", 6), (6,))}, {"0": record, "1": SIX_BYTES})
    data = path.read_bytes()
    path.write_bytes(_set(data, _central(data, 2) + 42, struct.pack("<L", data.index(record))))
    return path


def _deflated_in_name(data: bytes) -> bytes:
    return _set(data, _central(data, 1) + 10, struct.pack("<H", zipfile.ZIP_DEFLATED))


def _longer(data: bytes) -> bytes:
    """The storage claims a gigabyte."""
    return _set(data, _central(data, 1) + 20, struct.pack("<2L", 1 << 30, 1 << 30))


def _zip64_without_field(data: bytes) -> bytes:
    return _set(data, _central(data, 1) + 20, struct.pack("<2L", 0xFFFFFFFF, 0xFFFFFFFF))


def _far_directory(data: bytes) -> bytes:
    return _set(data, len(data) - 10, struct.pack("<2L", 46, 0xFFFFFFF0))


def _zip64_locator_to_nowhere(data: bytes) -> bytes:
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 2**64 - 1, 1)
    end = data[-22:-10] + struct.pack("<2LH", 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:-22] + locator + end


def _damaged(data: bytes) -> bytes:
    position = data.index(SIX_BYTES)
    return _set(data, position, b"\xff")


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "net.pt")
    return folder / "net.pt"


def bare(content: bytes, file: str = "net.pt") -> Callable[[Path], Path]:
    def built(folder: Path) -> Path:
        (folder / file).write_bytes(content)
        return folder / file

    return built


MALFORMED: Mapping[str, Malformed] = {
    # Pickles that exhaust their reader.
    "lists in lists": Malformed("holds no tensors", _in_zip({"w": Code(b"]" * DEEP + b"a" * (DEEP - 1))})),
    "tuples in tuples": Malformed("holds a tuple", _in_zip(Code(b")" + b"\x85" * DEEP))),
    "objects in objects": Malformed("holds a torch.nn.modules.conv.Conv2d", _in_zip(_nested_objects(DEEP))),
    "deep yaml": Malformed(
        "nested deeper than 100", _in_zip({"model": _model(yaml=Code(b"]" * DEEP + b"a" * (DEEP - 1)))})
    ),
    "deep tuple as a key": Malformed(
        "a key that is neither text nor a number", _in_zip({Code(b")" + b"\x85" * DEEP): 1})
    ),
    "deep tuple as a key of an OrderedDict": Malformed(
        "a key that is neither text nor a number",
        _in_zip(call(name("collections", "OrderedDict"), [(Code(b")" + b"\x85" * DEEP), 1)])),
    ),
    "list as a key": Malformed("a key that is neither text nor a number", _in_zip(Code(b"}(](" + b"eK\x01u"))),
    "numbers that collide as keys": Malformed(
        "a key that is neither text nor a number", _in_zip({(2**61 - 1) * index: 1 for index in range(1, 50)})
    ),
    "deep persistent id": Malformed("no storage of its own", _in_zip(Code(b")" + b"\x85" * DEEP + b"Q"))),
    "deep tail of a persistent id": Malformed(
        "no storage of its own",
        _in_zip(Code(push(("storage", 1, "0", "cpu", 6, Code(b")" + b"\x85" * DEEP))) + b"Q")),
    ),
    "deep name of a tensor's function": Malformed(
        "a tensor of an unknown kind",
        _in_zip(call(name("torch._tensor", "_rebuild_from_type_v2"), Code(b")" + b"\x85" * DEEP), 1, (), {})),
    ),
    "modules in modules": Malformed("modules nested deeper than 100", _in_zip({"model": _nested_modules(5000)})),
    "a module that holds itself": Malformed(
        "modules nested deeper than 100", _in_zip({"model": _module_that_holds_itself()})
    ),
    "modules that double": Malformed("more than 100000 modules or tensors", _in_zip({"model": _module_laughs(60)})),
    "modules that share a long list": Malformed(
        "more than 1000000 entries in its modules", _in_zip({"model": _module_laughs(12, hidden=["x"] * 1000)})
    ),
    "modules that share a long dictionary": Malformed(
        "more than 1000000 entries in its modules",
        _in_zip({"model": _module_laughs(12, empty=dict.fromkeys(map(str, range(1000))))}),
    ),
    "a name of a megabyte": Malformed(
        "names over 1000 characters",
        _in_zip({"model": module(_NET, parameters={"w" * 1_000_000: tensor(storage("0", 6), (6,))})}),
    ),
    "a class of a megabyte": Malformed("which no network needs", _in_zip(dotted("models" + ".a" * 500_000, "Net"))),
    "modules whose names are numbers": Malformed(
        "whose name is no text", _in_zip({"model": module(_NET, modules={1: _model()})})
    ),
    "billion laughs in the yaml": Malformed("more than 100000 values", _in_zip({"model": _model(yaml=_laughs(30))})),
    "billion laughs in the names": Malformed("more than 100000 values", _in_zip({"model": _model(names=_laughs(30))})),
    "copies of a long list": Malformed("more than 1000000 pickle opcodes", _in_zip(_copies())),
    "too many opcodes": Malformed("more than 1000000 pickle opcodes", _in_zip(Code(b"N0" * 500_001 + b"N"))),
    "a long that claims 2 GB": Malformed("is no pickle", _in_zip(Code(b"\x8b" + struct.pack("<i", 2**31 - 1)))),
    "a negative length": Malformed("is no pickle", _in_zip(Code(b"\x8b" + struct.pack("<i", -1)))),
    "a huge integer": Malformed(
        "an integer of 799999 bits", _in_zip(Code(b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000))
    ),
    "an integer of many digits": Malformed("is no pickle", _in_zip(Code(b"I" + b"9" * 100_000 + b"\n"))),
    "text that claims 4 GB": Malformed("is no pickle", _in_zip(Code(b"X" + b"\xff" * 4 + b"abc"))),
    "bytes that claim 2**63": Malformed("is no pickle", _in_zip(Code(b"\x8e" + b"\xff" * 7 + b"\x7f"))),
    "a memo index out of range": Malformed("memo index is out of range", _in_zip(Code(b"Np99999999999999999999\n"))),
    "a negative memo index": Malformed("memo index is out of range", _in_zip(Code(b"Np-1\n"))),
    "a memo that was not stored": Malformed("recalls what it did not store", _in_zip(Code(b"h\x07"))),
    "an empty stack": Malformed("takes from an empty stack", _in_zip(Code(b"R"))),
    "no mark": Malformed("has no mark", _in_zip(Code(b"Nt"))),
    "an odd number of items": Malformed("sets items of something", _in_zip(Code(b"}(K\x01u"))),
    "appends to a dictionary": Malformed("appends to something else than a list", _in_zip(Code(b"}K\x01a"))),
    "an object without a class": Malformed("has no class", _in_zip(Code(b"(o"))),
    "arguments that are no tuple": Malformed("arguments are no tuple", _in_zip(Code(_CONV + b"]R"))),
    "a name that is no text": Malformed("a name is no text", _in_zip(Code(b"NN\x93"))),
    "an unknown opcode": Malformed("is no pickle", _in_zip(Code(b"\xfe"))),
    "an escape in a name": Malformed("is no pickle", _in_zip(Code(b"c\\q\nx\n"))),
    "protocol 6": Malformed("protocol 6", _in_zip(None, data=b"\x80\x06N.")),
    "no end": Malformed("is no pickle", _in_zip(None, data=b"\x80\x02N")),
    "a second pickle behind the first": Malformed(
        "bytes behind its end", _in_zip(None, data=pickled({"w": 1}) + pickled(call(name("os", "system"), "true")))
    ),
    # Tensors that reach outside their storage.
    "an offset beyond the storage": Malformed("outside its storage", _of((2, 3), (3, 1), 1)),
    "an offset that overflows": Malformed("outside its storage", _of((1,), (1,), 2**62)),
    "an offset beyond 64 bits": Malformed("no counts", _of((1,), (1,), 2**64)),
    "a negative offset": Malformed("no counts", _of((2, 3), (3, 1), -1)),
    "a negative stride": Malformed("no counts", _of((2, 3), (3, -1), 5)),
    "a negative side": Malformed("no counts", _of((-2, 3), (3, 1))),
    "a stride beyond the storage": Malformed("outside its storage", _of((2, 3), (4, 1))),
    "a stride that overflows": Malformed("outside its storage", _of((3,), (2**62,))),
    "a stride of 0": Malformed("outside its storage", _of((1 << 40,), (0,))),
    "a shape that overflows": Malformed("outside its storage", _of((2**32, 2**32), (2**32, 1))),
    "an empty shape that overflows": Malformed("outside its storage", _of((0, 2**62, 2**62), (1, 1, 1))),
    "an empty tensor beyond the storage": Malformed("outside its storage", _of((0,), (1,), 7)),
    "too many dimensions": Malformed("no counts", _of((1,) * 9, (1,) * 9)),
    "more strides than sides": Malformed("no counts", _of((2, 3), (3, 1, 1))),
    "true as a side": Malformed("no counts", _of((True, 3), (3, 1))),
    "a fraction as a side": Malformed("no counts", _of((2.0, 3), (3, 1))),
    "a tensor larger than the file": Malformed("claims 1000000000000 float32", _of((10**12,), (1,), count=10**12)),
    "a storage smaller than its entry": Malformed("claims 5 float32", _of((5,), (1,), count=5)),
    "a negative storage": Malformed("a kind that is not read", _of((1,), (1,), count=-1)),
    "a storage that is not there": Malformed("which has 0 bytes", _in_zip({"w": tensor(storage("9", 6), (6,))})),
    "a storage outside the archive": Malformed(
        "which has 0 bytes", _in_zip({"w": tensor(storage("../../../etc/passwd", 6), (6,))})
    ),
    "a storage that is another entry of the archive": Malformed(
        "which has 0 bytes", _in_zip({"w": tensor(storage("archive/version", 2, "uint8"), (2,))})
    ),
    "a storage in two types": Malformed(
        "in two ways",
        _in_zip({"v": tensor(storage("0", 6), (6,)), "w": tensor(storage("0", 3, "int64"), (3,))}),
    ),
    "a storage of objects": Malformed(
        "asks for torch.ObjectStorage", _in_zip({"w": tensor(storage("0", 6, "ObjectStorage"), (6,))})
    ),
    "a storage of no type": Malformed(
        "a kind that is not read",
        _in_zip(
            {
                "w": tensor(storage("0", 6, "float32"), (6,)),
                "x": Code(push(("storage", "FloatStorage", "0", "cpu", 6)) + b"Q"),
            }
        ),
    ),
    "a tensor without a storage": Malformed("without a storage", _in_zip({"w": tensor(push(None), (6,))})),
    "a parameter without a tensor": Malformed("without a tensor", _in_zip({"w": parameter(push(None))})),
    "views that claim more than the file": Malformed("its tensors claim", _views(100)),
    # Networks that are not built as networks are.
    "a parameter that is a number": Malformed(
        "has under weight something that is no tensor", _in_zip({"model": module(_NET, parameters={"weight": 1})})
    ),
    "a part that is a number": Malformed(
        "has under fc something that is no module", _in_zip({"model": module(_NET, modules={"fc": 1})})
    ),
    "parts in a list": Malformed(
        "whose _modules are no dictionary", _in_zip({"model": module(_NET, modules=push([1]))})
    ),
    "one tensor name twice": Malformed(
        "two tensors 'a.b'",
        _in_zip(
            {
                "model": module(
                    _NET,
                    parameters={"a.b": tensor(storage("0", 6), (6,))},
                    modules={"a": module(_CONV, parameters={"b": tensor(storage("0", 6), (6,))})},
                )
            }
        ),
    ),
    "class names with a gap": Malformed("class names", _in_zip({"model": _model(names={0: "a", 2: "b"})})),
    "class names that are numbers": Malformed("class names", _in_zip({"model": _model(names=[1, 2])})),
    "a stride of half a pixel": Malformed(
        "has the stride 0.5",
        _in_zip(
            {"model": _model(stride=tensor(storage("1", 1), (1,)))},
            {"0": SIX_BYTES, "1": np.float32(0.5).tobytes()},
        ),
    ),
    "a stride that is no number": Malformed(
        "has the stride nan",
        _in_zip(
            {"model": _model(stride=tensor(storage("1", 1), (1,)))},
            {"0": SIX_BYTES, "1": np.float32("nan").tobytes()},
        ),
    ),
    "an image of no size": Malformed("image size 0", _in_zip({"model": _model(args={"imgsz": 0})})),
    "an image of 2**40 px": Malformed("image size 1099511627776", _in_zip({"model": _model(args={"imgsz": 1 << 40})})),
    "no weights in it": Malformed("holds no tensors", _in_zip({"epoch": 3})),
    "a number": Malformed("holds a int, not a network", _in_zip(3)),
    "tensors without names": Malformed("whose name is no text", _in_zip({0: tensor(storage("0", 6), (6,))})),
    # Zip files.
    "compressed": Malformed(
        "has a compressed entry 'archive/data.pkl'",
        _zipped([("archive/data.pkl", pickled({"w": 1}))], zipfile.ZIP_DEFLATED),
    ),
    "a zip bomb": Malformed(
        "has a compressed entry 'archive/data.pkl'",
        _zipped([("archive/data.pkl", bytes(1 << 24))], zipfile.ZIP_DEFLATED),
    ),
    "two data.pkl": Malformed(
        "has two entries 'archive/data.pkl'",
        _zipped([("archive/data.pkl", pickled({"w": 1})), ("archive/data.pkl", pickled({"w": 2}))]),
    ),
    "two roots": Malformed("not torch's", _in_zip({"w": 1}, more={"other/data.pkl": pickled({"w": 2})})),
    "no data.pkl": Malformed("not torch's", _zipped([("archive/readme", b"hello")])),
    "an empty zip": Malformed("is no pickle", bare(b"PK\x05\x06" + bytes(18))),
    "a path upwards": Malformed("'archive/../../x' whose name", _in_zip({"w": 1}, more={"archive/../../x": b"1"})),
    "an absolute path": Malformed(
        "'/archive/x' whose name", _zipped([("archive/data.pkl", b"N."), ("/archive/x", b"1")])
    ),
    "a path with backslashes": Malformed(
        "whose name is no plain path", _in_zip({"w": 1}, more={"archive/..\\x": b"1"})
    ),
    "an escape in an entry's name": Malformed(
        "'archive/\\x1b[2J' whose name", _in_zip({"w": 1}, more={"archive/\x1b[2J": b"1"})
    ),
    "encrypted": Malformed("has an encrypted entry 'archive/data.pkl'", _patched(_good, _encrypted)),
    "entries that overlap": Malformed("damaged zip", _patched(_good, _moved)),
    "an entry inside another": Malformed("'archive/data/1' that overlaps another", _inside_another),
    "an entry that says it is compressed": Malformed(
        "has a compressed entry 'archive/data/0'", _patched(_good, _deflated_in_name)
    ),
    "an entry longer than the file": Malformed("overlaps another or is outside", _patched(_good, _longer)),
    "a zip64 size without its field": Malformed("a zip64 field is too short", _patched(_good, _zip64_without_field)),
    "a directory beyond the file": Malformed("damaged zip", _patched(_good, _far_directory)),
    "a zip64 directory beyond the file": Malformed("damaged zip", _patched(_good, _zip64_locator_to_nowhere)),
    "a damaged storage": Malformed("archive/data/0) is damaged", _patched(_good, _damaged)),
    "a comment": Malformed("its directory is not at its end", _patched(_good, lambda data: data[:-2] + b"\x01\x00x")),
    "a pickle behind a zip": Malformed(
        "its directory is not at its end", _patched(_good, lambda data: data + pickled(1))
    ),
    "a zip behind a pickle": Malformed("not begin with torch's magic", _patched(_good, lambda data: pickled(1) + data)),
    "a zip behind a legacy file": Malformed(
        "bytes behind its end", _patched(_good_legacy, lambda data: data + b"PK\x05\x06" + bytes(18))
    ),
    "cut in the directory": Malformed("its directory is not at its end", _patched(_good, lambda data: data[:-30])),
    "cut in half": Malformed("directory is not at its end", _patched(_good, lambda data: data[: len(data) // 2])),
    "TorchScript": Malformed("is a TorchScript program", _in_zip({"w": 1}, more={"archive/constants.pkl": b"N."})),
    "an unknown byte order": Malformed("byte order 'middle'", _in_zip({"w": 1}, more={"archive/byteorder": b"middle"})),
    "a long byte order": Malformed("allowed 6", _in_zip({"w": 1}, more={"archive/byteorder": b"little" * 9})),
    # The older container.
    "legacy, cut in the storages": Malformed("is cut off", _patched(_good_legacy, lambda data: data[:-1])),
    "legacy, cut in the pickles": Malformed("is no pickle", _patched(_good_legacy, lambda data: data[:150])),
    "legacy, no storages": Malformed("damaged or cut off", _patched(_good_legacy, lambda data: data[:-32])),
    "legacy, longer": Malformed("has 1 bytes behind its end", _patched(_good_legacy, lambda data: data + b"\0")),
    "legacy, another count": Malformed(
        "has 7 elements, not 6", _patched(_good_legacy, lambda data: data[:-32] + struct.pack("<q", 7) + data[-24:])
    ),
    "legacy, keys that are not used": Malformed(
        "lists other storages",
        lambda folder: legacy_file(folder / "net.pt", {"w": 1}, {"0": np.zeros(6, np.float32)}),
    ),
    "legacy, keys that are missing": Malformed(
        "lists other storages",
        lambda folder: legacy_file(folder / "net.pt", {"w": tensor(storage("0", 6), (6,))}, {}),
    ),
    "legacy, a key twice": Malformed(
        "lists other storages",
        lambda folder: legacy_file(
            folder / "net.pt", {"w": tensor(storage("0", 6), (6,))}, {"0": np.zeros(6, np.float32)}, keys=["0", "0"]
        ),
    ),
    "legacy, a storage of 2**60 numbers": Malformed(
        "is cut off",
        _patched(
            lambda folder: legacy_file(folder / "net.pt", {"w": tensor(storage("0", 2**60), (1,))}, {}, keys=["0"]),
            lambda data: data + struct.pack("<q", 2**60),
        ),
    ),
    "a bare pickle of numbers": Malformed("not begin with torch's magic", bare(pickled([1, 2, 3]))),
    "a picture": Malformed("which torch does not write", bare(b"\x89PNG\r\n\x1a\n" + bytes(100))),
    "zeros": Malformed("is no pickle", bare(bytes(1000))),
    "an empty file": Malformed("is no pickle", bare(b"")),
    "a pipe": Malformed("is no plain file", _pipe),
    "a file that is not there": Malformed("cannot be read", lambda folder: folder / "none.pt"),
}
