"""Layer tars are read by others as they were meant, and depend on the files alone."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from launcher.image.tar_writer import layer_tar
from launcher.image.tree import Spool, Tree

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=90).filter(
    lambda part: part not in (".", "..")
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


def write(files: dict[str, bytes], order: list[str]) -> bytes:
    tree, spool = Tree(), Spool(io.BytesIO())
    for path in order:
        tree.add_file(f"root/{path}", spool.store(files[path]), executable=len(files[path]) % 2 == 1)
    return b"".join(layer_tar(tree.nodes, spool, time=1767225600))


@given(st.dictionaries(PARTS, st.binary(max_size=2000), max_size=5), st.randoms())
def test_a_tar_reads_back_and_does_not_depend_on_the_order_of_adding(files, random) -> None:
    shuffled = random.sample(sorted(files), len(files))
    data = write(files, sorted(files))
    assert data == write(files, shuffled)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        read = {
            member.name.removeprefix("root/"): archive.extractfile(member).read()
            for member in members
            if member.isreg()
        }
    assert read == files
    names = [member.name.encode() for member in members]
    assert names == sorted(names)
    assert all((member.uid, member.gid, member.mtime) == (0, 0, 1767225600) for member in members)


@given(PATHS, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300))
def test_links_of_any_length_and_script_read_back(path: str, target: str) -> None:
    tree = Tree()
    tree.add_symlink(path, target)
    data = b"".join(layer_tar(tree.nodes, Spool(io.BytesIO()), time=0))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (link,) = [member for member in archive if member.issym()]
    assert (link.name, link.linkname) == (path, target)
