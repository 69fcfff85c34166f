"""The tables of what is evaluated and with what: image, code, data, model."""

from functools import partial

from launcher.spec import blueprint as values
from launcher.spec import grammars, rules, terms
from launcher.spec.image import PLATFORM
from launcher.spec.kinds import Key, ListOf, Table
from launcher.spec.scalars import argument, choice, day, grammar, integer, line, pattern


def _image(*, ref: str, mirrors: tuple[str, ...], platform: str) -> values.Image:
    transport, location, digest = grammars.split_image(ref)
    places = [(transport, location), *map(grammars.split_mirror, mirrors)]
    return values.Image(ref, digest, tuple(values.ImageReference(*place) for place in places), platform)


IMAGE_TABLE = Table(
    "The container image, by digest and never by tag.",
    (
        Key(
            "ref",
            terms.IMAGE,
            "`REGISTRY/NAME@sha256:...` or `oci:PATH@sha256:...` (an OCI image layout, a folder or a tar); "
            "the digest is the manifest's or the index's.",
        ),
        Key(
            "mirrors",
            ListOf(grammar("a place without digest", grammars.MIRROR, grammars.explain_mirror), maximum=100),
            "Further places, tried in order; the digest decides.",
            [],
        ),
        Key(
            "platform",
            pattern("a platform such as `linux/amd64`", grammars.PLATFORM),
            "Which image of an index, never the host's choice.",
            PLATFORM,
        ),
    ),
    make=_image,
)

CODE = Table(
    "The code, by commit; the whole tree is mounted at `/eval/code`.",
    (
        Key(
            "git",
            grammar("a repository", grammars.GIT, grammars.explain_git),
            "A URL, or a path to a repository or a `git bundle` file.",
        ),
        Key(
            "commit",
            pattern(
                "40 lowercase hex digits",
                grammars.COMMIT,
                "branches and tags move; name the full commit, or let `evalctl pin` look it up",
            ),
            "The commit's full id.",
        ),
        Key(
            "path",
            grammar(
                "a path inside the commit's tree",
                f"(?:{grammars.TREE_PATH})?",
                lambda text: grammars.explain_tree_path(text) if text else "",
                limit=1000,
            ),
            "The working directory inside the tree.",
            "",
        ),
        Key(
            "lockfiles",
            ListOf(terms.TREE_PATH, unique=True),
            "Files that must exist at that commit; their digests go into the lock.",
            [],
        ),
    ),
    make=values.Code,
)

_WINDOW = Table(
    "The period the data speaks for.",
    (
        Key("from", day(), "The first day.", None),
        Key("to", day(), "The last day.", None),
    ),
    make=values.Window,
    at_least_one=("from", "to"),
    rules=(rules.window_in_order,),
)

_LINEAGE = Table(
    "How an input was made from others, so that it can be replayed.",
    (
        Key("data", ListOf(terms.NAME, unique=True), "The names of the inputs it was made from.", []),
        Key("command", ListOf(argument()), "The command that made it.", []),
        Key("image", terms.IMAGE, "The image in which the command ran.", None),
    ),
    make=values.Lineage,
)

_INPUT_KEYS = (
    Key("name", terms.NAME, "The name under `/eval/inputs/`; data and models share one name space."),
    Key(
        "uri",
        grammar("a URI or a path", grammars.URI, grammars.explain_uri),
        "Where the bytes may be found; the checksum decides.",
    ),
    Key("sha256", terms.SHA256, "The SHA-256 of the bytes as fetched; of a directory, its tree digest."),
    Key("size", integer(0, 2**53 - 1), "The size in bytes as fetched.", None),
    Key(
        "unpack", choice("none", "zst", "gz", "tar", "zip"), "How to unpack it before it is mounted.", "none"
    ),
    Key("license", line(), "Its licence, as an SPDX expression.", ""),
    Key("access", choice("public", "gated", "private"), "Who can get it.", "public"),
    Key(
        "split", choice("train", "validation", "test", "other"), "Which split of its data set it is.", "other"
    ),
    Key("version", line(), "The version its publisher gives it.", ""),
    Key("window", _WINDOW, "The period it speaks for.", None),
    Key(
        "role",
        choice("input", "held-out"),
        'Mounted into `[run]`; `"held-out"`: kept from it, for `[score]` only.',
        "input",
    ),
    Key("variant-of", terms.NAME, "The input of which it is a declared perturbation.", None),
    Key("derived-from", _LINEAGE, "How it was made.", None),
)

DATA = Table("Data, by checksum.", _INPUT_KEYS, make=partial(values.Input, "data"))
MODEL = Table(
    "A model's file, by checksum; the same keys as `[[data]]`, and `slot`.",
    (
        *_INPUT_KEYS,
        Key("slot", terms.NAME, "The slot in which another model may be put.", None),
    ),
    make=partial(values.Input, "model"),
)
