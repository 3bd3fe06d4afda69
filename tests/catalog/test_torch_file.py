"""The files are written opcode by opcode, so that they can say what no honest pickler would."""

from __future__ import annotations

import contextlib
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.torch_file import read_torch_file
from headstart.errors import WeightsError

PROTOCOL_2, PROTOCOL_4 = b"\x80\x02", b"\x80\x04"
STOP, REDUCE, BUILD, POP, MARK = b".", b"R", b"b", b"0", b"("
EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE = b"}", b"]", b")"

REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
FLOAT, LONG = b"ctorch\nFloatStorage\n", b"ctorch\nLongStorage\n"
SYSTEM = b"cos\nsystem\n"
ORDERED_DICT = b"ccollections\nOrderedDict\n" + EMPTY_TUPLE + REDUCE


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def row(*items: bytes) -> bytes:
    """A tuple."""
    return MARK + b"".join(items) + b"t"


def table(entries: dict[str, bytes]) -> bytes:
    """An ordered dict."""
    return ORDERED_DICT + MARK + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def pickled(value: bytes) -> bytes:
    return PROTOCOL_2 + value + STOP


def storage(key: str, length: int, kind: bytes = FLOAT) -> bytes:
    return row(text("storage"), kind, text(key), text("cpu"), number(length), b"N") + b"Q"


def tensor(where: bytes, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    sizes, steps = (row(*map(number, values)) for values in (shape, stride))
    return REBUILD + row(where, number(offset), sizes, steps, b"\x89", ORDERED_DICT) + REDUCE


MAGIC, PROTOCOL = pickled(number(0x1950A86A20F9469CFC6C)), pickled(number(1001))


def torch_file(state: bytes, storages: dict[str, np.ndarray] | None = None, *, keys: bytes | None = None) -> bytes:
    """A whole file around the opcodes of a state dict; the arrays are the storages' elements."""
    storages = storages or {}
    listed = keys or EMPTY_LIST + MARK + b"".join(map(text, storages)) + b"e"
    elements = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())
    return MAGIC + PROTOCOL + pickled(EMPTY_DICT) + pickled(state) + pickled(listed) + elements


FLOATS = np.arange(12, dtype="<f4")

Read = Callable[[bytes], dict[str, np.ndarray]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(data: bytes) -> dict[str, np.ndarray]:
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return read_torch_file(path)

    return read


def test_tensors_come_out_by_name_with_their_shapes_and_types(read: Read) -> None:
    state = table(
        {
            "conv.weight": tensor(storage("7", 12), (3, 4), (4, 1)),
            "bn.num_batches_tracked": tensor(storage("8", 1, LONG), (), ()),
        }
    )
    tensors = read(torch_file(state, {"7": FLOATS, "8": np.array([2**40], "<i8")}))
    assert list(tensors) == ["conv.weight", "bn.num_batches_tracked"]
    np.testing.assert_array_equal(tensors["conv.weight"], FLOATS.reshape(3, 4))
    assert tensors["conv.weight"].dtype == np.float32
    assert tensors["bn.num_batches_tracked"].shape == ()
    assert tensors["bn.num_batches_tracked"] == 2**40


def test_strides_and_offsets_are_followed(read: Read) -> None:
    state = table(
        {
            "transposed": tensor(storage("0", 12), (4, 3), (1, 4)),
            "second_half": tensor(storage("0", 12), (6,), (1,), offset=6),
            "every_other": tensor(storage("0", 12), (6,), (2,)),
            "empty": tensor(storage("0", 12), (0, 4), (4, 1)),
        }
    )
    tensors = read(torch_file(state, {"0": FLOATS}))
    np.testing.assert_array_equal(tensors["transposed"], FLOATS.reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["second_half"], FLOATS[6:])
    np.testing.assert_array_equal(tensors["every_other"], FLOATS[::2])
    assert tensors["empty"].shape == (0, 4)
    assert all(array.flags.c_contiguous for array in tensors.values())


def test_what_is_no_tensor_is_left_out(read: Read) -> None:
    metadata = EMPTY_DICT + text("_metadata") + ORDERED_DICT + b"s" + BUILD  # as torch keeps it: an attribute
    state = table({"epoch": number(3), "w": tensor(storage("0", 12), (12,), (1,))}) + metadata
    assert list(read(torch_file(state, {"0": FLOATS}))) == ["w"]


def command(sentinel: Path) -> bytes:
    return row(text(f"touch {sentinel}"))


def expression(sentinel: Path) -> bytes:
    return row(text(f"open({str(sentinel)!r}, 'w').close()"))


# Each is a program that an ordinary unpickler runs; the second item is what the refusal names.
ATTACKS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "os-system": (lambda s: SYSTEM + command(s) + REDUCE, "os.system"),
    "posix-system": (lambda s: f"c{sys.modules['os'].name}\nsystem\n".encode() + command(s) + REDUCE, r"\w+.system"),
    "eval": (lambda s: b"cbuiltins\neval\n" + expression(s) + REDUCE, "builtins.eval"),
    "eval-of-python-2": (lambda s: b"c__builtin__\neval\n" + expression(s) + REDUCE, "__builtin__.eval"),
    "import-then-getattr": (
        lambda s: (
            b"cbuiltins\ngetattr\n"
            + row(b"cbuiltins\n__import__\n" + row(text("os")) + REDUCE, text("system"))
            + REDUCE
            + command(s)
            + REDUCE
        ),
        "builtins.getattr",
    ),
    "import": (
        lambda s: b"cbuiltins\n__import__\n" + row(text("os")) + REDUCE + POP + SYSTEM + command(s) + REDUCE,
        "builtins.__import__",
    ),
    "stack-global": (lambda s: PROTOCOL_4 + text("os") + text("system") + b"\x93" + command(s) + REDUCE, "os.system"),
    "inst": (lambda s: MARK + text(f"touch {s}") + b"ios\nsystem\n", "os.system"),
    "obj": (lambda s: MARK + b"csubprocess\nPopen\n" + row(text("touch"), text(str(s))) + b"o", "subprocess.Popen"),
    "newobj": (
        lambda s: b"cpathlib\nPath\n" + row(text(str(s))) + b"\x81" + POP + SYSTEM + command(s) + REDUCE,
        "pathlib.Path",
    ),
    "behind-an-admitted-module": (
        lambda s: (
            PROTOCOL_4 + text("collections") + text("_sys.modules.get") + b"\x93" + POP + SYSTEM + command(s) + REDUCE
        ),
        "collections._sys.modules.get",
    ),
    "inside-a-tensor": (
        lambda s: table({"w": REBUILD + row(SYSTEM + command(s) + REDUCE) + REDUCE}),
        "os.system",
    ),
    "as-a-persistent-id": (
        lambda s: row(text("storage"), SYSTEM + command(s) + REDUCE, text("0"), text("cpu"), number(1)) + b"Q",
        "os.system",
    ),
}

each_attack = pytest.mark.parametrize(("attack", "named"), ATTACKS.values(), ids=ATTACKS.keys())


@each_attack
@pytest.mark.parametrize("place", ["first", "state", "keys"])
def test_a_file_that_is_a_program_is_refused_and_not_run(
    read: Read, tmp_path: Path, attack: Callable[[Path], bytes], named: str, place: str
) -> None:
    sentinel = tmp_path / "executed"
    opcodes = attack(sentinel)
    whole = {
        "first": pickled(opcodes) + PROTOCOL,
        "state": torch_file(opcodes),
        "keys": torch_file(EMPTY_DICT, keys=opcodes),
    }
    with pytest.raises(WeightsError, match=f"can be read safely: it names {named}, which no weights need"):
        read(whole[place])
    assert not sentinel.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the attacks call touch")
@each_attack
def test_an_ordinary_unpickler_runs_these_programs(tmp_path: Path, attack: Callable[[Path], bytes], named: str) -> None:
    """So the test above would notice if the reader were one."""

    class Ordinary(pickle.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            return pid

        def find_class(self, module: str, name: str) -> Any:
            return tuple if module.startswith("torch") else super().find_class(module, name)

    opcodes = attack(tmp_path / "executed")
    path = tmp_path / "weights.pth"
    path.write_bytes(pickled(opcodes))
    with path.open("rb") as file, contextlib.suppress(TypeError):  # what comes after the damage doesn't matter
        process = Ordinary(file).load()
        getattr(process, "wait", int)()
    assert (tmp_path / "executed").exists()
    assert named


def float_tensor(shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    return torch_file(table({"w": tensor(storage("0", 12), shape, stride, offset)}), {"0": FLOATS})


def announcing(length: int) -> bytes:
    """A storage that is said, twice over, to have so many elements, and has none."""
    state = table({"w": tensor(storage("0", length), (1,), (1,))})
    return torch_file(state, keys=EMPTY_LIST + text("0") + b"a") + struct.pack("<Q", length % 2**64)


def persistent(*pid: bytes) -> bytes:
    return torch_file(table({"w": row(*pid) + b"Q"}))


BROKEN = {
    "beyond-the-end": (float_tensor((13,), (1,)), "reaches beyond"),
    "offset-beyond-the-end": (float_tensor((6,), (1,), offset=7), "reaches beyond"),
    "stride-beyond-the-end": (float_tensor((2, 6), (7, 1)), "reaches beyond"),
    "huge-offset": (float_tensor((1,), (1,), offset=2**80), "reaches beyond"),
    "huge-stride": (float_tensor((2,), (2**62,)), "reaches beyond"),
    "huge-stride-that-is-never-taken": (float_tensor((1,), (2**80,)), ""),
    "negative-stride": (float_tensor((6,), (-1,), offset=6), "not a plain block of numbers"),
    "negative-shape": (float_tensor((-6,), (1,)), "not a plain block of numbers"),
    "negative-offset": (float_tensor((6,), (1,), offset=-1), "not a plain block of numbers"),
    "more-strides-than-axes": (float_tensor((6,), (1, 1)), "not a plain block of numbers"),
    "one-number-repeated-for-ever": (float_tensor((2**40,), (0,)), "reaches beyond|more numbers"),
    "two-axes-repeated-for-ever": (float_tensor((2**20, 2**20), (0, 0)), "reaches beyond|more numbers"),
    "repeated-beyond-any-address": (float_tensor((2**80,), (0,)), "reaches beyond|more numbers"),
    "nothing-at-a-huge-shape": (float_tensor((0, 2**80), (0, 0)), ""),
    "more-elements-than-the-file": (announcing(1_000_000), "ends|smaller than"),
    "more-elements-than-memory": (announcing(2**44), "ends"),
    "more-elements-than-addresses": (announcing(2**62), "ends"),
    "negative-length": (announcing(-1), "elements where -1 were announced"),
    "another-length": (
        torch_file(table({"w": tensor(storage("0", 11), (1,), (1,))}), {"0": FLOATS}),
        "storage 0 has 12 elements where 11 were announced",
    ),
    "storage-that-never-comes": (torch_file(table({"w": tensor(storage("0", 12), (1,), (1,))})), "'0'"),
    "storage-that-nobody-asked-for": (torch_file(table({}), {"0": FLOATS}), "'0'"),
    "persistent-id-of-a-module": (
        persistent(text("module"), FLOAT, text("0"), text("cpu"), number(1)),
        "not a storage of numbers",
    ),
    "persistent-id-of-another-type": (
        persistent(text("storage"), ORDERED_DICT, text("0"), text("cpu"), number(1)),
        "not a storage of numbers",
    ),
    "persistent-id-that-is-short": (persistent(text("storage")), "unpack"),
    "persistent-id-of-infinite-length": (
        persistent(text("storage"), FLOAT, text("0"), text("cpu"), b"G" + struct.pack(">d", float("inf"))),
        "infinity",
    ),
    "persistent-id-as-text": (torch_file(table({"w": b"Pstorage\n"})), "not a storage of numbers"),
    "tensor-without-a-storage": (torch_file(table({"w": tensor(text("0"), (1,), (1,))})), "not a plain block"),
    "storage-type-that-is-called": (torch_file(FLOAT + row(number(9)) + REDUCE), "not callable"),
    "unknown-extension": (torch_file(b"\x82\x01"), "unregistered extension"),
    "text-of-the-length-of-memory": (torch_file(b"\x8d" + struct.pack("<Q", 2**60)), ""),
    "memo-entry-that-is-absent": (torch_file(b"h\x07"), "7"),
    "state-that-is-a-number": (torch_file(number(5)), "not iterable"),
    "keys-that-are-a-number": (torch_file(EMPTY_DICT, keys=number(5)), "not iterable"),
    "other-magic-number": (pickled(number(1)) + PROTOCOL, "magic number"),
    "other-protocol": (MAGIC + pickled(number(1002)), "magic number and protocol"),
    "zip-file-of-newer-torch": (b"PK\x03\x04" + bytes(60), ""),
    "empty": (b"", "Ran out of input"),
    "text": (b"404: Not Found", ""),
}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_broken_or_greedy_is_refused(read: Read, data: bytes, reason: str) -> None:
    with pytest.raises(WeightsError) as caught:
        read(data)
    assert caught.match("^weights.pth is not a PyTorch weights file that can be read safely: ")
    assert caught.match(reason)
    assert caught.match("; install the weights package again, or name another base with --base$")


def test_a_file_cut_short_anywhere_is_refused(read: Read) -> None:
    whole = float_tensor((3, 4), (4, 1))
    assert read(whole)
    for end in range(len(whole)):
        with pytest.raises(WeightsError, match="is not a PyTorch weights file that can be read safely"):
            read(whole[:end])


@pytest.mark.parametrize(
    "victim",
    [FLOAT, LONG, storage("0", 12), tensor(storage("0", 12), (12,), (1,))],
    ids=["float", "long", "one", "two"],
)
@pytest.mark.parametrize(
    "change",
    [EMPTY_DICT + text("dtype") + text("<f8") + b"s", row(b"N", EMPTY_DICT + text("dtype") + text("<f8") + b"s")],
    ids=["attributes", "slots"],
)
def test_a_file_can_not_change_what_the_reader_does_with_the_next_one(read: Read, victim: bytes, change: bytes) -> None:
    with pytest.raises(WeightsError):
        read(torch_file(victim + change + BUILD))
    np.testing.assert_array_equal(read(float_tensor((12,), (1,)))["w"], FLOATS)
