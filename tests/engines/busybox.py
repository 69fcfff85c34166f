"""A tiny image of this machine's static busybox, as an OCI layout that any engine takes."""

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.engines.engine import Engine
from launcher.image.oci import write_layer, write_manifest
from launcher.sources.layout import Descriptor, open_only_image

BUSYBOX = Path("/bin/busybox")
PLATFORM = "linux/amd64"


def is_static_busybox() -> bool:
    """Say whether /bin/busybox is a program that needs no interpreter."""
    return BUSYBOX.is_file() and b"ld-linux" not in BUSYBOX.read_bytes()[:4096]


def write_busybox_layout(folder: Path, *, files: tuple[str, ...] = (), **config: Any) -> Path:
    """Write the layout; `config` goes into the image's configuration, such as `Volumes`."""
    layer = write_layer(folder, [_root_file_system(files)], "busybox")
    stated = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }
    data = canonical_bytes(stated)
    (folder / "blobs" / "sha256" / digest_of(data).removeprefix("sha256:")).write_bytes(data)
    rows = [Descriptor("application/vnd.oci.image.layer.v1.tar", layer.digest, layer.size)]
    write_manifest(folder, data, rows)
    return folder


def load_busybox(engine: Engine, layout: Path) -> str:
    """Return the engine's id of the image in `layout`."""
    return engine.load_image(*open_only_image(layout, PLATFORM))


def _root_file_system(files: tuple[str, ...]) -> bytes:
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(BUSYBOX, "bin/busybox", filter=_plain)
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            if applet != "busybox":
                archive.addfile(link)
        for folder in ("tmp", "etc", "eval"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for file in files:
            archive.addfile(tarfile.TarInfo(file))
    return buffer.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = 0
    return entry
