"""Make tiny Debian packages, wheels, recipes and layouts, good ones and hostile ones."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any


def tar_of(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], compression: str = "xz") -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def tar_member(
    name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, link: str = "", uid: int = 1000
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.uid, info.mtime = kind, mode, link, uid, 1234567890
    return info


def text_file(name: str, text: str = "", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return tar_member(name, mode=mode), text.encode()


def ar_of(*members: tuple[str, bytes]) -> bytes:
    body = b"!<arch>\n"
    for name, data in members:
        body += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        body += data + b"\n" * (len(data) % 2)
    return body


def make_deb(
    *members: Any, name: str = "tiny", version: str = "1.0", md5sums: str = "", compression: str = "xz"
) -> bytes:
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nDescription: tiny\n"
    files = [text_file("./control", control)]
    if md5sums:
        files.append(text_file("./md5sums", md5sums))
    return ar_of(
        ("debian-binary", b"2.0\n"),
        (f"control.tar.{compression}", tar_of(*files, compression=compression)),
        (f"data.tar.{compression}", tar_of(*members, compression=compression)),
    )


def make_wheel(files: dict[str, str], *, name: str = "tiny", version: str = "1.0") -> bytes:
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files,
    }
    record = "".join(f"{path},sha256=x,{len(text)}\n" for path, text in contents.items())
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return raw.getvalue()


def lock_text(kind: str, files: dict[str, tuple[str, str, bytes]]) -> str:
    """Return a lock of `{path: (name, version, bytes)}`."""
    rows = [
        f'[[{kind}]]\nname = "{name}"\nversion = "{version}"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
        f'size = {len(data)}\nfile = "{path}"\n'
        for path, (name, version, data) in files.items()
    ]
    return "\n".join(rows) if rows else f"{kind} = []\n"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put_blob(folder: Path, data: bytes) -> dict[str, Any]:
    """Write a blob into the layout `folder`; return digest and size of its descriptor."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / sha256(data)[7:]).write_bytes(data)
    return {"digest": sha256(data), "size": len(data)}


def put_json(folder: Path, kind: str, value: Any) -> dict[str, Any]:
    data = json.dumps(value).encode()
    return {"mediaType": f"application/vnd.oci.image.{kind}+json", **put_blob(folder, data)}


def make_layout(folder: Path, *, layers: list[bytes] | None = None, **changes: Any) -> str:
    """Write a layout of uncompressed layers; return its manifest's digest. `changes` replace config keys."""
    tars = [tar_of(text_file("hello", "hi"), compression="")] if layers is None else layers
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        **changes,
    }
    rows = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **put_blob(folder, tar)} for tar in tars]
    return finish_layout(folder, put_json(folder, "config.v1", config), rows)


def finish_layout(folder: Path, config: dict[str, Any], layers: list[dict[str, Any]]) -> str:
    """Write manifest, index and marker; return the manifest's digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    }
    entry = put_json(folder, "manifest.v1", manifest)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(entry["digest"])
