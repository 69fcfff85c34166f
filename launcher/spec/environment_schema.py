"""The JSON Schema of `environment.json`: facts, each with its source, and what each name means.

Facts may be added; what a listed name holds does not change, so that two bundles can be compared by name.
"""

from collections.abc import Mapping
from typing import Final

from launcher.spec.json_types import (
    ANY,
    COUNT,
    DIGEST,
    FLAG,
    Schema,
    array,
    document,
    optional,
    said,
    table,
    words,
)

SOURCES: Final = ("image", "engine", "host", "probe", "declared")
_TEXT: Final[Schema] = {"type": "string"}
_TEXTS: Final = array(_TEXT)
_TABLE: Final[Schema] = {"type": "object"}
_TABLES: Final = array(_TABLE)

_HOST: Final[Mapping[str, Schema]] = {
    "kernel": said(_TEXT, "The kernel's release."),
    "kernel-version": said(_TEXT, "Which build of it: what `uname -v` prints."),
    "machine": said(_TEXT, "The architecture, as `uname -m` prints it."),
    "operating-system": said(_TEXT, "PRETTY_NAME of os-release."),
    "libc": said(_TEXT, "Name and version of the C library that the launcher runs on."),
    "memory": said(COUNT, "Bytes of memory."),
    "cpus": said(COUNT, "Logical processors that the kernel counts."),
    "cpu-model": said(_TEXT, "The processor's model name."),
    "cpu-vendor": said(_TEXT, "Who made it, as the kernel says."),
    "cpu-microcode": said(_TEXT, "The revision of its microcode."),
    "cpu-flags": said(_TEXTS, "What it can do, sorted: instruction sets and features."),
    "cpu-threads": said(COUNT, "Logical processors in /proc/cpuinfo."),
    "cpu-cores": said(COUNT, "Cores; absent where the kernel does not tell them apart."),
    "cpu-sockets": said(COUNT, "Packages; absent as above."),
    "cpu-governor": said(_TEXT, "What sets its frequency; several are joined by commas."),
    "cpu-turbo": said(FLAG, "Whether it may go above its base frequency."),
    "smt": said(FLAG, "Whether several threads of a core are in use."),
    "numa-nodes": said(COUNT, "Memory nodes that are online."),
    "virtual": said(FLAG, "Whether the processor says that a hypervisor is below it."),
    "control-groups": said(words(("v1", "hybrid", "v2", "none")), "Which control groups are mounted."),
    "runsc": said(_TEXT, "The version of gVisor's runtime, where it ran the evaluation."),
    "user-namespaces": said(FLAG, "Whether the kernel lets users make user namespaces."),
}
_LAUNCHER: Final[Mapping[str, Schema]] = {
    "version": said(_TEXT, "evalctl's version."),
    "commit": said(optional(_TEXT), "The commit of its sources, `-dirty` when changed; null when installed."),
    "python": said(_TEXT, "The Python that it runs on."),
    "libraries": said(_TABLE, "What its own numbers are computed and written with: name to version."),
}
_IMAGE: Final[Mapping[str, Schema]] = {
    "manifest": said(DIGEST, "The digest of its manifest, which names the image."),
    "config": said(DIGEST, "The digest of its configuration."),
    "diff-ids": said(array(DIGEST), "The digests of its layers uncompressed, lowest first."),
    "platform": said(_TEXT, "Operating system, architecture and variant."),
    "operating-system": said(_TEXT, "PRETTY_NAME of the image's os-release."),
    "packages": said(_TABLE, "How many packages there are, by ecosystem; which ones, sbom.cdx.json says."),
    "compilers": said(_TABLES, "Packages that are compilers: name, version, ecosystem."),
    "compiler-programs": said(_TEXTS, "Compilers by the paths of their programs."),
    "numeric-libraries": said(
        _TABLES, "Libraries for BLAS, LAPACK, OpenMP and CUDA: path, soname, and the version that they state."
    ),
    "python-build": said(_TABLES, "How each Python was built: compiler, flags and options of configure."),
    "numpy-build": said(_TABLES, "What each NumPy says of its BLAS, compilers and SIMD extensions."),
    "scipy-build": said(_TABLES, "The same of SciPy."),
    "torch-build": said(_TABLES, "Version, commit and CUDA of each PyTorch."),
    "cuda": said(_TABLES, "Versions of CUDA toolkits."),
}
_ENGINE: Final[Mapping[str, Schema]] = {
    "engine.name": said(_TEXT, "Which engine: docker or podman."),
    "engine.version": said(_TEXT, "Its version."),
    "engine.components": said(_TABLE, "Versions of what it is made of, such as containerd and runc."),
    "engine.runtimes": said(_TEXTS, "The runtimes that it knows."),
    "engine.cgroup-version": said(_TEXT, "The version of control groups that it uses."),
    "image.id": said(_TEXT, "The engine's own name for the image."),
    "sandbox.profile": said(_TABLE, "What isolated and bounded the container, as the engine was asked."),
}


def environment_schema() -> Schema:
    """Return the JSON Schema of a bundle's `environment.json`."""
    name = said(
        {"type": "string", "pattern": r"^[a-z]+(\.[A-Za-z0-9._-]+)+$"},
        "What the fact is about; it stands once.",
    )
    known = {
        **{f"host.{key}": (schema, "host") for key, schema in _HOST.items()},
        **{f"launcher.{key}": (schema, "host") for key, schema in _LAUNCHER.items()},
        **{f"image.{key}": (schema, "image") for key, schema in _IMAGE.items()},
        **{key: (schema, "engine") for key, schema in _ENGINE.items()},
    }
    fact = table({"name": name, "value": ANY, "source": said(words(SOURCES), "Who says so.")})
    fact["allOf"] = [_meaning(key, schema, source) for key, (schema, source) in sorted(known.items())]
    text = "The environment of a run: facts sorted by name, each with its source."
    facts = table({"schema": {"const": "evalctl/environment/v1"}, "facts": array(fact)})
    return document("environment/v1", "evalctl/environment/v1", text, facts)


def _meaning(name: str, value: Schema, source: str) -> Schema:
    return {
        "if": {"properties": {"name": {"const": name}}},
        "then": {"properties": {"value": value, "source": {"const": source}}},
    }
