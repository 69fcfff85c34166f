"""The software bill of materials of an image: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

Its bytes are a function of the image: no time, machine or launcher is in it. What an ecosystem's package
manager lists depends on a component that stands for that list; `compositions` says of each list whether it
was read whole. The image itself is never called complete: it also has files that no package manager knows.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from launcher.canonical import canonical_bytes
from launcher.environment.packages import ECOSYSTEMS, Ecosystem, Gap, Inventory, Package
from launcher.spec.image import ImagePins

# Raised where the same image would be told otherwise: then nothing kept is used any more.
FORMAT: Final = 1

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://w3id.org/evalctl-launcher/sbom")
_MANAGERS: Final[Mapping[Ecosystem, str]] = {
    "deb": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "conda": "conda",
    "pypi": "Python",
    "npm": "npm",
}
PREFIX: Final = "evalctl:"


def sbom_bytes(
    image: ImagePins, inventory: Inventory | None, reason: str = "its layers were not read"
) -> bytes:
    """Return the bytes of `sbom.cdx.json` for `image`; without an inventory it says `unknown`, and why."""
    component = image_component(image)
    if inventory is None:
        component["properties"].append(_property("unread", reason))
    metadata: dict[str, Any] = {"component": component, "tools": _TOOLS}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(image),
        "version": 1,
        "metadata": metadata,
    }
    reference = _reference(image)
    if inventory is None:
        return _encoded({**document, "compositions": [{"aggregate": "unknown", "assemblies": [reference]}]})
    metadata["lifecycles"] = [{"phase": "post-build"}]
    return _encoded({**document, **_contents(reference, inventory)})


def _contents(reference: str, inventory: Inventory) -> dict[str, Any]:
    """Return the packages of an image, which list each stands in, and which lists are whole."""
    packages = _with_references(inventory.packages)
    lists = list(_lists(inventory, packages))
    wholes = [(component["bom-ref"], whole) for component, _, whole in lists]
    return {
        "components": [
            *(component for component, _, _ in lists),
            *(_component(package, bom_ref) for bom_ref, package in packages.items()),
        ],
        "dependencies": [
            {"ref": reference, "dependsOn": [bom_ref for bom_ref, _ in wholes]},
            *({"ref": component["bom-ref"], "dependsOn": members} for component, members, _ in lists),
        ],
        "compositions": [
            {"aggregate": "incomplete", "assemblies": [reference]},
            *(
                {"aggregate": "complete" if whole else "incomplete", "dependencies": [bom_ref]}
                for bom_ref, whole in wholes
            ),
        ],
    }


_TOOLS: Final = {
    "components": [{"type": "application", "name": "evalctl-launcher", "version": f"sbom/{FORMAT}"}]
}


def empty_sbom_bytes() -> bytes:
    """Return the bytes of `sbom.cdx.json` where no image is known: it lists nothing and says so."""
    return _encoded(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "compositions": [{"aggregate": "unknown"}],
        }
    )


def _encoded(document: Mapping[str, Any]) -> bytes:
    return canonical_bytes(document) + b"\n"


def serial_number(image: ImagePins) -> str:
    """Return the serial number, a function of the image and of the document's form."""
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{FORMAT} {image.manifest}')}"


def _reference(image: ImagePins) -> str:
    return f"pkg:oci/image@{image.manifest.replace(':', '%3A')}"


def image_component(image: ImagePins) -> dict[str, Any]:
    """Return the component that stands for the image, by its digests alone."""
    return {
        "type": "container",
        "bom-ref": _reference(image),
        "name": "image",
        "version": image.manifest,
        "hashes": [{"alg": "SHA-256", "content": image.manifest.removeprefix("sha256:")}],
        "properties": [
            {"name": "oci:config", "value": image.config},
            {"name": "oci:platform", "value": image.platform},
            *({"name": "oci:diff_id", "value": diff_id} for diff_id in image.diff_ids),
        ],
    }


def _lists(
    inventory: Inventory, packages: Mapping[str, Package]
) -> Iterator[tuple[dict[str, Any], list[str], bool]]:
    """Yield a component for each list of packages, the references of its members, and whether it is whole."""
    for ecosystem in ECOSYSTEMS:
        members = sorted(bom_ref for bom_ref, package in packages.items() if package.ecosystem == ecosystem)
        gaps = [gap for gap in inventory.gaps if gap.ecosystem == ecosystem]
        if members or gaps:
            yield _list(ecosystem, inventory.system, gaps), members, not gaps


def _list(ecosystem: Ecosystem, system: tuple[str, str, str], gaps: Iterable[Gap]) -> dict[str, Any]:
    name, version, title = system
    component: dict[str, Any] = {
        "type": "application",
        "bom-ref": f"packages:{ecosystem}",
        "name": f"packages known to {_MANAGERS[ecosystem]}",
    }
    if ecosystem in ("deb", "rpm", "apk"):
        component |= {"type": "operating-system", "name": name or "unknown"}
        component |= {key: text for key, text in (("version", version), ("description", title)) if text}
    if unread := [_property("unread", f"{gap.path}: {gap.reason}".removeprefix(": ")) for gap in gaps]:
        component["properties"] = unread
    return component


def _with_references(packages: Iterable[Package]) -> dict[str, Package]:
    """Return the packages by their `bom-ref`: the package URL, and the path where another has the same."""
    found: dict[str, Package] = {}
    for package in packages:
        url = package_url(package)
        found[url if url not in found else f"{url}#{quote(package.path)}"] = package
    return found


def package_url(package: Package) -> str:
    """Return the package URL (https://github.com/package-url/purl-spec)."""
    name, namespace = package.name, package.namespace
    if package.ecosystem in ("deb", "apk", "npm", "conda"):
        name, namespace = name.lower(), namespace.lower()
    if package.ecosystem == "pypi":
        name = name.lower().replace("_", "-").replace(".", "-")
    place = "/".join(_quoted(part) for part in (*namespace.split("/"), name) if part)
    pairs = sorted((key, quote(value, safe=":/")) for key, value in package.qualifiers if value)
    qualifiers = "?" + "&".join(f"{key}={value}" for key, value in pairs) if pairs else ""
    version = f"@{_quoted(package.version)}" if package.version else ""
    return f"pkg:{package.ecosystem}/{place}{version}{qualifiers}"


def _quoted(text: str) -> str:
    return quote(text, safe=":")


def _component(package: Package, bom_ref: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": bom_ref,
        "name": package.name,
        "version": package.version,
        "purl": package_url(package),
        "evidence": {"occurrences": [{"location": package.path}]},
        "properties": [
            _property("layer", package.layer),
            *(_property(name, value) for name, value in package.origin),
        ],
    }
    if package.namespace and package.ecosystem == "npm":
        component["group"] = package.namespace
    if package.is_expression:
        component["licenses"] = [{"expression": package.licences[0], "acknowledgement": "declared"}]
    elif package.licences:
        component["licenses"] = [
            {"license": {"name": name, "acknowledgement": "declared"}} for name in package.licences
        ]
    if package.hashes:
        component["hashes"] = [{"alg": name, "content": value} for name, value in package.hashes]
    if package.url:
        component["externalReferences"] = [{"type": "distribution", "url": package.url}]
    return component


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{PREFIX}{name}", "value": value}
