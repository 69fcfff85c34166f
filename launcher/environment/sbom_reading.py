"""Read a bill of materials as strangers give it: is it of the image, is it well-formed, what does it list?"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.environment.packages import ECOSYSTEMS
from launcher.environment.sbom import PREFIX, image_component, serial_number
from launcher.errors import CheckFailedError
from launcher.spec.image import ImagePins

_AGGREGATES: Final = frozenset({"complete", "incomplete", "unknown"})
_LISTS: Final = {f"packages:{name}": name for name in ECOSYSTEMS}


class Listed(Struct, frozen=True):
    """How many packages of one ecosystem a bill of materials lists, and whether it says these are all."""

    ecosystem: str
    count: int
    is_complete: bool


def check_sbom(data: bytes, image: ImagePins) -> None:
    """Check that `data` is the bill of materials of `image` in the form that evalctl writes.

    Raises `CheckFailedError`, or `MalformedError` for bytes that are no JSON.
    """
    document = parse_json(data, what="sbom.cdx.json")
    if not isinstance(document, dict) or canonical_bytes(document) + b"\n" != data:
        raise _bad("it is not in canonical form")
    stated = {key: document.get(key) for key in ("bomFormat", "specVersion", "version")}
    if stated != {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}:
        raise _bad("it is not CycloneDX 1.6")
    try:
        _check_image(document, image)
        references = _check_components(document, image)
        _check_graph(document, references)
    except (KeyError, TypeError, AttributeError) as error:
        raise _bad("something is missing, or of another type") from error


def _check_image(document: Mapping[str, Any], image: ImagePins) -> None:
    component = document["metadata"]["component"]
    unread = {f"{PREFIX}unread"}
    properties = [item for item in component["properties"] if item["name"] not in unread]
    if {**component, "properties": properties} != image_component(image):
        raise _bad("it is of another image")
    if document["serialNumber"] != serial_number(image):
        raise _bad("its serial number is of another image")


def _check_components(document: Mapping[str, Any], image: ImagePins) -> frozenset[str]:
    references = {document["metadata"]["component"]["bom-ref"]}
    for component in document.get("components", []):
        reference = component["bom-ref"]
        texts = (reference, component["type"], component["name"], component.get("version", ""))
        if not all(isinstance(text, str) for text in texts) or reference in references:
            raise _bad("a component has no reference of its own")
        references.add(reference)
        if reference in _LISTS:
            continue
        layers = [item["value"] for item in component["properties"] if item["name"] == f"{PREFIX}layer"]
        if len(layers) != 1 or layers[0] not in image.diff_ids:
            raise _bad(f"{reference[:200]!a} is of no layer of the image")
        if not component["purl"].startswith("pkg:"):
            raise _bad(f"{reference[:200]!a} has no package URL")
    return frozenset(references)


def _check_graph(document: Mapping[str, Any], references: frozenset[str]) -> None:
    named = [each["ref"] for each in document.get("dependencies", [])]
    members = [member for each in document.get("dependencies", []) for member in each.get("dependsOn", [])]
    for composition in document["compositions"]:
        if composition["aggregate"] not in _AGGREGATES:
            raise _bad("a composition is of an unknown kind")
        named += [*composition.get("assemblies", []), *composition.get("dependencies", [])]
    if not references.issuperset((*named, *members)):
        raise _bad("it refers to what it does not list")
    if len(members) != len({*members}) or len(members) != len(references) - 1:
        raise _bad("a component stands in no list, or in two")


def listed_packages(data: bytes) -> tuple[Listed, ...]:
    """Return what the bill of materials lists by ecosystem; nothing where it says that nothing was read.

    Raises `CheckFailedError` where it is not well-formed, `MalformedError` where it is no JSON.
    """
    document = parse_json(data, what="sbom.cdx.json")
    try:
        members = {each["ref"]: len(each.get("dependsOn", [])) for each in document.get("dependencies", [])}
        whole = {
            reference
            for composition in document["compositions"]
            if composition["aggregate"] == "complete"
            for reference in composition.get("dependencies", [])
        }
        return tuple(
            Listed(name, members[reference], reference in whole)
            for reference, name in _LISTS.items()
            if reference in members
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _bad("something is missing, or of another type") from error


def _bad(context: str) -> CheckFailedError:
    return CheckFailedError("`sbom.cdx.json` is not the image's", code="bad-sbom", context=context)
