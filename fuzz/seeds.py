#!/usr/bin/env python3
"""Makes the committed seeds of the fuzz targets anew: fuzz/seeds/TARGET/NAME.

Needs wimlib-imagex and genisoimage (tests/setup installs both) and osupg (OSUPG, or target/debug/osupg).
The inputs are real: structures cut
out of archives that wimlib writes, chunks of the codec vectors, blocks of an ISO. The layout of an input
is told by the target's module documentation.
"""

import base64
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "tests" / "data"
SEEDS = HERE / "seeds"
BLOCK = 2048


def seed(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def resource(wim, offset):
    """A resource header: stored size, flags, place, size; and the 24 bytes themselves."""
    raw = wim[offset : offset + 24]
    size, place, full = struct.unpack("<QQQ", raw)
    return size & ((1 << 56) - 1), size >> 56, place, full, raw


def structures(name, wim):
    """Header, tables, XML and metadata of an archive whose metadata is not compressed."""
    seed("header", name, wim[:208])
    images, version = struct.unpack("<I", wim[44:48])[0], struct.unpack("<I", wim[12:16])[0]
    size, _, place, _, _ = resource(wim, 48)
    table = wim[place : place + size]
    seed("blob_table", name, bytes([0 if version == 0xE00 else 1, images]) + table)
    size, _, place, _, _ = resource(wim, 72)
    seed("xml", name, wim[place : place + size])
    size, _, place, _, _ = resource(wim, 124)
    if size:
        seed("integrity", name, wim[place : place + size])
    chunk_bits = struct.unpack("<I", wim[20:24])[0].bit_length() - 1
    count = 0
    for entry in range(0, len(table), 50):
        size, flags, place, full, raw = resource(table, entry)
        if flags & 2 and not flags & 4:
            seed("metadata", f"{name}-{entry // 50}", wim[place : place + size])
        if flags & 4 and chunk_bits >= 12 and full > 1 << chunk_bits and count < 2:
            chunks = -(-full // (1 << chunk_bits))
            length = 4 * (chunks - 1)
            choices = bytes([chunk_bits << 3])
            seed("chunk_table", f"{name}-{entry // 50}", choices + raw + wim[place : place + length])
            count += 1


def archives(folder):
    tree = folder / "tree"
    (tree / "dir" / "empty").mkdir(parents=True)
    (tree / "dir" / "Größe.txt").write_text("text " * 2000)
    (tree / "a").write_text("a")
    (tree / "none").touch()
    os.link(tree / "a", tree / "dir" / "b")
    os.symlink("../a", tree / "dir" / "relative")
    os.symlink("/dir", tree / "absolute")
    (tree / "big").write_bytes(b"".join(b"%d\n" % (n * n) for n in range(4000)))
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    for name, options in {
        "none": ["--compress=none", "--check"],
        "unix": ["--compress=none", "--unix-data"],
        "xpress-4k": ["--compress=XPRESS", "--chunk-size=4K"],
        "lzx": ["--compress=LZX", "--check"],
        "solid": ["--solid"],
        "pipable": ["--compress=XPRESS", "--pipable"],
    }.items():
        wim = folder / f"{name}.wim"
        run("wimlib-imagex", "capture", tree, wim, "Name", "Text", "--quiet", *options)
        run("wimlib-imagex", "append", tree / "dir", wim, "Second", "--quiet")
        content = wim.read_bytes()
        if name == "pipable":
            seed("header", name, content[:208])
            seed("piped", name, content)
        else:
            structures(name, content)
        seed("archive", name, content)
    for vector in ["ntfs.wim", "v1.wim", "v3.wim", "v4.wim"]:
        seed("archive", vector, (DATA / "vectors" / vector).read_bytes())
    seed("piped", "v4.wim", (DATA / "vectors" / "v4.wim").read_bytes())


def chunks():
    """The codec vectors: which chunk size, the size to decode to, the chunk."""
    picks = {"xpress": {32768: 1, 65536: 2}, "lzx": {32768: 0, 65536: 1}, "lzms": {131072: 1}}
    lines = (DATA / "codec-vectors.txt").read_text().splitlines()
    for head, line in zip(lines, lines[2:]):
        match = re.match(r"(\w+) (xpress|lzx|lzms)\w* (\d+) .*len=(\d+)", head)
        if match and line.strip().startswith("out"):
            name, codec, limit, size = match[1], match[2], int(match[3]), int(match[4])
            chunk = bytes.fromhex(line.split(":")[1].strip())
            pick = picks[codec].get(limit)
            if pick is not None:
                seed(codec, f"{name}-{limit}", bytes([pick]) + size.to_bytes(3, "little") + chunk)


def chunks_to_encode():
    call = b"\x55\x48\x89\xe5\xe8%s\x48\x83\xc4\x20\xc3"
    calls = b"".join(call % struct.pack("<i", i * 37 % 5000 - 2000) for i in range(40))
    text = b"the quick brown fox jumps over the lazy dog; " * 6 + b"the slow brown dog"
    for target in ("encode_lzms", "encode_lzx", "encode_xpress"):
        for level in range(5):
            seed(target, f"calls-{level}", bytes([3 * level, 0x1F]) + calls)
            seed(target, f"text-{level}", bytes([3 * level + 1, 0x27]) + text)


def iso(folder):
    """A UDF image as the list of its blocks, without the zeros at their ends."""
    tree, image = folder / "media", folder / "media.iso"
    (tree / "sources" / "sub").mkdir(parents=True)
    (tree / "sources" / "install.wim").write_text("not really\n")
    (tree / "sources" / "sub" / "ü.txt").touch()
    (tree / "setup.exe").write_text("MZ")
    run("genisoimage", "-quiet", "-udf", "-J", "-V", "MEDIA", "-o", image, tree)
    content = image.read_bytes()
    records = b""
    for number in range(len(content) // BLOCK):
        block = content[number * BLOCK : (number + 1) * BLOCK].rstrip(b"\0")
        if block and number < 600:
            records += struct.pack("<HH", number, len(block)) + block
    seed("udf", "media", records)


def bundles(folder):
    """A bundle, the index that is signed in it, and a signed document with what is signed."""
    osupg = [os.environ.get("OSUPG", HERE.parent / "target" / "debug" / "osupg"), "--home", folder / "home"]
    tree, media = folder / "tree", folder / "upgrade"
    tree.mkdir()
    (media / "sources").mkdir(parents=True)
    (tree / "a.txt").write_text("a small file\n" * 20)
    (media / "setup.exe").write_text("MZ")
    run("wimlib-imagex", "capture", tree, media / "sources" / "install.wim", "Pro", "--compress=XPRESS")
    run(*osupg, "package", "add", media, "--name", "Sample")
    run(*osupg, "bundle", "create", "OSU00001", "--out", folder / "bundle")
    bundle = (folder / "bundle").read_bytes()
    seed("bundle", "full", bundle)
    # Behind the header: a frame with the length of the index, and one with the index.
    length = struct.unpack("<I", bundle[80 + 20 + 4 : 80 + 20 + 8])[0]
    envelope = json.loads(bundle[80 + 20 + 12 : 80 + 20 + 12 + length])
    index = base64.b64decode(envelope["payload"])
    seed("bundle", "index", index)
    document = json.loads(index)["documents"][0]
    seed("signed", "envelope", json.dumps(document).encode())
    seed("signed", "document", base64.b64decode(document["payload"]))


def main():
    shutil.rmtree(SEEDS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        archives(pathlib.Path(folder))
        iso(pathlib.Path(folder))
        bundles(pathlib.Path(folder))
    chunks()
    chunks_to_encode()
    for target in sorted(SEEDS.iterdir()):
        sizes = [file.stat().st_size for file in target.iterdir()]
        print(f"{target.name}: {len(sizes)} seeds, {sum(sizes)} bytes")


main()
