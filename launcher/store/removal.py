"""Remove a folder that strangers filled: odd names, no permissions, however deep; links are not followed."""

import os
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> bool:
    """Remove `path` and all below it; return whether it is gone. Nobody else may be changing it.

    Folders are moved up before they are emptied, so that no depth is too much for a path, a stack or the
    number of open files.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return True
        _open_to_owner(path)
        top = os.open(path, _OPEN)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        _empty(top)
    except OSError:
        return False
    finally:
        os.close(top)
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


def put_away(path: Path, trash: Path) -> None:
    """Remove `path`, or move what of it is another user's into `trash`: either way nothing is there any more.

    A container's user may leave folders that only it, or root, can empty.
    """
    if remove_tree(path):
        return
    trash.mkdir(mode=0o700, exist_ok=True)
    path.rename(trash / os.urandom(8).hex())


def _empty(top: int) -> None:
    numbers = count()
    while folders := _unlink_files(top):
        for name in folders:
            _lift(top, name, numbers)


def _lift(top: int, name: str, numbers: "count[int]") -> None:
    """Move the folders in `name` up to `top`, unlink its files, and remove it."""
    _open_to_owner(name, top)
    folder = os.open(name, _OPEN, dir_fd=top)
    try:
        for child in _unlink_files(folder):
            _open_to_owner(child, folder)
            os.rename(child, _free_name(top, numbers), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _free_name(top: int, numbers: "count[int]") -> str:
    for number in numbers:
        name = f".{number}"
        try:
            os.stat(name, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            return name
    raise AssertionError("unreachable: a count has no end")


def _unlink_files(folder: int) -> list[str]:
    """Unlink what is no folder and return the names of the folders."""
    folders = []
    # The listing is finished before anything is renamed: a moving folder may be listed twice, or never.
    with os.scandir(folder) as listing:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        if is_folder:
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders


def _open_to_owner(name: str | Path, folder: int | None = None) -> None:
    """Give back the owner's permissions on a folder; where it is another's, its own may do."""
    with suppress(PermissionError):
        os.chmod(name, 0o700, dir_fd=folder)
