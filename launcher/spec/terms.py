"""The kinds that several tables of a blueprint share."""

from launcher.spec import grammars
from launcher.spec.kinds import ListOf, MapOf
from launcher.spec.scalars import argument, grammar, pattern

NAME = pattern(
    "a name", grammars.NAME, "letters, digits, `.`, `_` and `-`, starting with a letter or digit", limit=128
)
SHA256 = grammar("64 lowercase hex digits", grammars.SHA256, grammars.explain_sha256)
IMAGE = grammar("an image by digest", grammars.IMAGE, grammars.explain_image)
TREE_PATH = grammar(
    "a path inside the commit's tree", grammars.TREE_PATH, grammars.explain_tree_path, limit=1000
)
COMMAND = ListOf(argument(), minimum=1)
VARIABLE = grammar("a free variable name", grammars.VARIABLE, grammars.explain_variable, limit=255)
ENVIRONMENT = MapOf(VARIABLE, argument())
