"""Random malformed files of every kind that the command reads, and the words that have it do so.

Each is a good file of its kind that something was done to: bytes were changed, pieces cut out or
doubled, numbers replaced by extreme ones, structures by others, where need be below a checksum
that is made right again. Some are no files at all.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Change = Callable[[random.Random, bytes], bytes]
EXTREMES = (
    None, True, -1, 0, 1.5, 1e308, -1e308, 10**30, 1 << 31, 1 << 63, "", "x", "x" * 70_000, [], {},
    [[]], [1, 2], {"a": 1}, [0] * 1000,
)  # fmt: skip
RECIPE = ["--method", "swat", "--epochs", "1", "--batch", "8"]


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    copied: tuple[str, ...]
    """Files and folders of the good ones that the command needs."""
    malform: Callable[[random.Random, Path], None]
    """Changes what lies in a folder."""
    words: Callable[[random.Random, Path], list[str]]
    """The command that reads it."""


def change_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return bytes of which a few places differ."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 40))):
        start = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 100))
        how = rng.randrange(6)
        if how == 0:
            data[start : start + length] = rng.randbytes(length)
        elif how == 1:
            data[start : start + length] = rng.choice((b"\0", b"\xff", b"\x7f")) * length
        elif how == 2:
            del data[start : start + length]
        elif how == 3:
            data[start:start] = data[start : start + length] * rng.choice((1, 2, 300))
        elif how == 4:
            del data[start:]
        elif start < len(data):
            data[start] ^= 1 << rng.randrange(8)
    return bytes(data)


def replace_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return other bytes altogether."""
    return rng.choice(
        (b"", b"\0", content[:4], rng.randbytes(3000), content * 3, content[::-1], b"[" * 200_000)
    )


def change_text(rng: random.Random, content: bytes) -> bytes:
    """Return text of which a number or a word differs."""
    words = content.split(b" ")
    index = rng.randrange(len(words))
    words[index] = rng.choice((b"", b"-1", b"1e999", b"NaN", b"9" * 5000, b"(", b"10000000000000"))
    return b" ".join(words)


def change_json(rng: random.Random, content: bytes) -> bytes:
    """Return JSON of which a node differs, or is missing, or twice there."""
    root = [json.loads(content)]
    holder: object = root
    key: object = 0
    for _ in range(rng.randrange(1, 6)):
        node = holder[key]
        if not isinstance(node, dict | list) or not node:
            break
        holder, key = node, rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
    how = rng.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, list):
        holder *= rng.choice((2, 50))
    else:
        holder[key] = copy.deepcopy(rng.choice(EXTREMES))
    text = json.dumps(root[0] if root else None)
    if rng.random() < 0.1:
        text = text.replace("1", rng.choice(("NaN", "-Infinity", "1e999", "1" * 5000)), 1)
    if rng.random() < 0.1:
        text = text.replace("{", '{"name": 1, "name": 2, ', 1)
    return text.encode()


def change_entry(rng: random.Random, content: bytes) -> bytes:
    """Return a ZIP archive of which an entry differs, and its checksum is right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        entries = {name: old.read(name) for name in old.namelist()}
        method = old.infolist()[0].compress_type
    names = list(entries)
    # Small entries, such as a pickle or a header, say what the others are.
    name = min(rng.sample(names, min(len(names), 4)), key=lambda one: len(entries[one]))
    if any(one.endswith("data.pkl") for one in names) and rng.random() < 0.7:
        name = next(one for one in names if one.endswith("data.pkl"))
    how = rng.randrange(10)
    if how == 0:
        del entries[name]
    elif how == 1:
        entries[rng.choice(("x", "../x.npy", "/x", "x.npy", "a/data.pkl"))] = entries[name]
    elif how == 2:
        method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    elif how == 3:
        entries[name] += bytes(rng.choice((1, 64, 30 << 20)))
        method = rng.choice((method, zipfile.ZIP_DEFLATED))
    elif how < 6:
        head = change_text(rng, entries[name][:128])
        entries[name] = head + entries[name][128:]
    else:
        entries[name] = rng.choice((change_bytes, change_bytes, replace_bytes))(rng, entries[name])
    with zipfile.ZipFile(stream, "w", method) as new:
        for one, data in entries.items():
            new.writestr(one, data)
    return stream.getvalue()


def change_packed(rng: random.Random, content: bytes) -> bytes:
    """Return a gzip file whose content differs, and its checksum is right."""
    inner = gzip.decompress(content)
    if rng.random() < 0.1:
        # More than a thousandfold of what is in the file.
        return gzip.compress(inner[:512] + bytes(700 << 20), 1)
    return gzip.compress(rng.choice((change_bytes, change_header))(rng, inner), 1)


def change_header(rng: random.Random, content: bytes) -> bytes:
    """Return a tar archive of which a header differs, and its checksum is right."""
    blocks = range(0, len(content) - 512, 512)
    start = rng.choice([at for at in blocks if content[at + 257 : at + 262] == b"ustar"])
    header = bytearray(content[start : start + 512])
    at, field = rng.choice(
        ((0, b"../../x"), (124, b"77777777777"), (124, b"0000000000x"), (156, b"1"), (156, b"5"),
         (156, b"x"), (156, b"L"), (156, b"S"), (0, b"\0")),
    )  # fmt: skip
    header[at : at + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:start] + bytes(header) + content[start + 512 :]


def change_image(rng: random.Random, content: bytes) -> bytes:
    """Return an image of which a size or a kind differs, and its checksums are right."""
    if content[:4] == b"\x89PNG":
        head = bytearray(content[16:29])
        at, value = rng.choice(
            ((0, b"\x7f\xff\xff\xff"), (4, b"\0\1\0\0"), (0, b"\0\0\0\0"), (8, b"\x10"),
             (9, b"\6"), (9, b"\3"), (12, b"\1"), (8, b"\1"))
        )  # fmt: skip
        head[at : at + len(value)] = value
        crc = zlib.crc32(b"IHDR" + head).to_bytes(4, "big")
        return content[:16] + bytes(head) + crc + content[33:]
    if content[:1] == b"P":
        return change_text(rng, content[:20].replace(b"\n", b" ")) + content[20:]
    place = content.find(b"\xff\xc0") + 5 if content[:2] == b"\xff\xd8" else 18
    return content[:place] + rng.randbytes(rng.choice((1, 2, 4))) + content[place + 4 :]


def unfit(rng: random.Random, path: Path) -> bool:
    """Sometimes put something in a file's place that is none; return whether that was done."""
    how = rng.randrange(60)
    if how > 5:
        return False
    path.unlink()
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.mkdir()
    elif how == 2:
        path.symlink_to("/dev/zero")
    elif how == 3:
        path.symlink_to(path.name)
    elif how == 4:
        with path.open("wb") as file:
            file.truncate(rng.choice((1 << 30, 1 << 40)))
    return True


def changed(rng: random.Random, path: Path, *ways: Change) -> None:
    """Change a file in one way."""
    if not unfit(rng, path):
        path.write_bytes(rng.choice((change_bytes, *ways))(rng, path.read_bytes()))


def _trace(rng: random.Random, folder: Path) -> None:
    manifest = folder / "trace" / "trace.json"
    if rng.random() < 0.4:
        changed(rng, manifest, replace_bytes, change_json, change_json, change_json)
        return
    path = folder / "trace" / "conv.npz"
    changed(rng, path, replace_bytes, change_entry, change_entry, change_entry)
    fields = json.loads(manifest.read_text())
    # Right but for the content, so that the content is looked at.
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink():
            size = path.stat().st_size
            fields["layers"][0]["size_bytes"] = size
            if size < 1 << 28:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                fields["layers"][0]["sha256"] = digest
    manifest.write_text(json.dumps(fields))


def _one(name: str, *ways: Change) -> Callable[[random.Random, Path], None]:
    return lambda rng, folder: changed(rng, folder / name, *ways)


def _image(rng: random.Random, folder: Path) -> None:
    path = rng.choice(sorted((folder / "images" / "val" / "one").iterdir()))
    changed(rng, path, replace_bytes, change_image, change_image)


def _batch(rng: random.Random, folder: Path) -> None:
    path = rng.choice(sorted((folder / "batches" / "cifar-10-batches-py").iterdir()))
    changed(rng, path, replace_bytes, change_text)


_CIFAR = ["train", "--dataset", "cifar10", "--network", "resnet20", "--iterations", "1"]
_CIFAR += ["--batch", "2", "--epochs", "1", "--data"]
_FOLDER = ["train", "--dataset", "imagefolder", "--network", "wrn16-1", "--iterations", "1"]
_FOLDER += ["--batch", "2", "--epochs", "1", "--image-size", "16", "--data"]
_ESTIMATE = ["estimate", "--mode", "analytic"]
_NUMBERS = ("0", "-1", "1" + "0" * 20, "9" * 5000, "nan", "inf", "-inf", "1e308", "1.5", "x", "")
_OPTIONS = {
    "estimate": "--batch --image-size --sparsity --activation-density --gradient-density "
    "--clock-mhz --sample-products --samples --seed --processes --set=clusters "
    "--set=mem_width --set=operand_format --set=float_formats --set",
    "cosim": "--latency --stalls --seed --workers --density-a --conv --stride --padding "
    "--dilation --scheduler --set=addr_width",
    "train": "--width --epochs --batch --learning-rate --seed --refresh-period --dst-alpha "
    "--iterations-per-epoch --sparsity --image-size --devices --clock-mhz --checkpoint-every",
}


def _options(rng: random.Random, folder: Path) -> list[str]:
    command = rng.choice(sorted(_OPTIONS))
    option = rng.choice(_OPTIONS[command].split())
    value = rng.choice(_NUMBERS)
    if "conv" in option:
        value = ",".join(rng.choice((value, "1", "1000000")) for _ in range(7))
    # Joined, as some values begin like options.
    joined = f"{option}={value}"
    if command == "estimate":
        # With a network that would be quick, were the option right.
        return [*_ESTIMATE, "--model", str(folder / "network"), joined]
    if command == "cosim":
        # Of no layer, so that nothing is built.
        others = [] if "conv" in option else ["--conv", "1,1,2,2,1,3,3"]
        return ["cosim", "--config", "tiny", *others, joined]
    return ["train", "--iterations", "0", joined]


def _nothing(rng: random.Random, folder: Path) -> None:
    """Leave files as they are: the words are what is wrong."""


def _words(name: str, *words: str, after: tuple[str, ...] = ()) -> Callable[..., list[str]]:
    """Return a function of the words that end with a file in the folder."""
    return lambda _, folder: [
        *words, str(folder / name), *(one.replace("FOLDER", str(folder)) for one in after)
    ]  # fmt: skip


KINDS = {
    "trace": Kind(
        ("trace",),
        _trace,
        _words("trace", "estimate", "--config", "tiny", "--trace"),
    ),
    "operands": Kind(
        ("operands",),
        _one("operands/operands.json", replace_bytes, change_json, change_json, change_json),
        _words("operands", "publish-operands", "--check"),
    ),
    "checkpoint": Kind(
        ("model.pt",),
        _one("model.pt", replace_bytes, change_entry, change_entry, change_entry),
        _words(
            "model.pt", "trace", "--checkpoint", after=("--layer", "head", "--out", "FOLDER/out")
        ),
    ),
    "network": Kind(
        ("network",),
        _one("network", replace_bytes, change_json, change_json, change_json),
        _words("network", *_ESTIMATE, "--model"),
    ),
    "topology": Kind(
        ("topology.csv",),
        _one("topology.csv", replace_bytes, change_text),
        _words("topology.csv", *_ESTIMATE, "--model"),
    ),
    "problems": Kind(
        ("problems.yaml",),
        _one("problems.yaml", replace_bytes, change_text),
        _words("problems.yaml", *_ESTIMATE, "--model"),
    ),
    "graph": Kind(
        ("graph.onnx",),
        _one("graph.onnx", replace_bytes),
        _words("graph.onnx", *_ESTIMATE, "--model"),
    ),
    "exported": Kind(
        ("exported.pt2",),
        _one("exported.pt2", replace_bytes, change_entry, change_entry),
        _words("exported.pt2", *_ESTIMATE, "--model"),
    ),
    "archive": Kind(
        ("archive",),
        _one("archive/cifar-10-python.tar.gz", replace_bytes, change_packed, change_packed),
        _words("archive", *_CIFAR),
    ),
    "batch": Kind(("batches",), _batch, _words("batches", *_CIFAR)),
    "image": Kind(("images",), _image, _words("images", *_FOLDER)),
    "result": Kind(
        ("result.npz",),
        _one("result.npz", replace_bytes, change_entry, change_entry),
        _words("result.npz", "compare"),
    ),
    "log": Kind(
        ("model.pt", "log.csv"),
        _one("log.csv", replace_bytes, change_text),
        _words(
            "log.csv", "train", *RECIPE, "--resume", "--iterations", "2", "--log",
            after=("--out", "FOLDER/model.pt"),
        ),
    ),
    "options": Kind(("network",), _nothing, _options),
}  # fmt: skip


def malformed(seed: int, good: Path, folder: Path) -> tuple[str, list[str]]:
    """Make a malformed file in a folder; return its kind and the words that read it."""
    rng = random.Random(seed)
    name = rng.choice(sorted(KINDS))
    kind = KINDS[name]
    put(kind, good, folder)
    kind.malform(rng, folder)
    return name, kind.words(rng, folder)


def put(kind: Kind, good: Path, folder: Path) -> None:
    """Copy the good files of a kind to a new folder."""
    folder.mkdir()
    for one in kind.copied:
        if (good / one).is_dir():
            shutil.copytree(good / one, folder / one)
        else:
            shutil.copy(good / one, folder / one)
