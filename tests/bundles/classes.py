"""The classes of attack: what happened to others, and the cases here that are of that class."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from tests.bundles.case import Case, Group


class AttackClass(Struct, frozen=True):
    """A way to attack a verifier, with the advisories of others who were; its cases by group or by title."""

    words: str
    elsewhere: str = ""
    groups: tuple[Group, ...] = ()
    titles: tuple[str, ...] = ()

    def of(self, cases: Iterable[Case]) -> list[Case]:
        """Return the forgeries of this class."""
        return [case for case in cases if case.exit_code and self._has(case)]

    def _has(self, case: Case) -> bool:
        return case.group in self.groups or any(fnmatchcase(case.title, pattern) for pattern in self.titles)


CLASSES = (
    AttackClass("the file set: changed, extra, missing, renamed, swapped", "CVE-2023-33959", ("files",)),
    AttackClass("files that are none: links, hard links, FIFOs, sockets", groups=("special files",)),
    AttackClass(
        "names: traversal, collisions, control characters, what depends on the platform",
        "CVE-2021-41087, CVE-2021-41131, CVE-2026-24686, GHSA-qp9x-wp8f-qgjj, CVE-2018-12020",
        ("names",),
    ),
    AttackClass(
        "the set of attestations: accepted where any of them holds",
        "CVE-2022-35929, CVE-2022-35930",
        ("attestations",),
        ("unknown-maker-*", "stranger-signs-*", "co-signed-*"),
    ),
    AttackClass(
        "a good signature about something else",
        "CVE-2022-36056, CVE-2026-22703, GHSA-ccxc-vr6p-4858",
        ("replay",),
        (
            "*-of-another-bundle",
            "signature-of-the-provenance",
            "stamp-of-*",
            "subjects-*",
            "reproduction-of-*",
        ),
    ),
    AttackClass("types: of the payload, of the predicate, of what is signed", "CVE-2026-39395", ("types",)),
    AttackClass(
        "what two readers read differently", "CVE-2026-44309, CVE-2017-12635", ("encodings",), ("events-*",)
    ),
    AttackClass(
        "counting: one key twice, under two names, a threshold of none",
        "CVE-2020-6174, CVE-2020-15093, GHSA-3633-5h82-39pq, CVE-2026-23992, CVE-2026-49834",
        ("keys and thresholds",),
        ("policy-with-threshold-*", "policy-with-one-key-*", "policy-with-member-*", "signatures-*"),
    ),
    AttackClass(
        "which key: `keyid` is signed by nobody, and what a bundle brings is no key",
        titles=("keyid-*", "*-in-the-name-of-*", "certificate-*", "key-in-the-bundle", "extra-key"),
    ),
    AttackClass(
        "public keys that are none: weak points, other curves",
        titles=("policy-with-a-key-*", "key-file-*", "signed-under-*"),
    ),
    AttackClass(
        "signatures that are malformed, or another spelling of a good one", "CVE-2022-21449", ("signatures",)
    ),
    AttackClass(
        "an older form, another algorithm, another spelling of a digest",
        groups=("downgrade",),
        titles=(
            "media-type-*",
            "message-signature*",
            "*-with-sha512",
            "*-digest-in-capitals",
            "statement-0.1",
        ),
    ),
    AttackClass(
        "rollback: of results, locks, policies, ledgers",
        "CVE-2022-29173, CVE-2020-15163",
        ("replay",),
        ("policy-rolled-back", "policy-no-longer-signed", "policy-of-the-same-version", "ledger-forked-*"),
    ),
    AttackClass(
        "time: keys not valid yet or any more, or revoked; timestamps by others, or of other signatures",
        "CVE-2026-54787, CVE-2024-56138, CVE-2026-39984",
        ("timestamps",),
        ("key-not-yet-valid", "key-no-longer-valid", "key-compromised", "key-superseded", "policy-expired"),
    ),
    AttackClass(
        "a policy's fields that are read and not used, or matched by a pattern",
        "GHSA-pmwq-pjrm-6p5r",
        ("policy",),
        ("ledger-proof-removed", "ledger-without-*", "ledger-with-*"),
    ),
    AttackClass(
        "a verifier that is configured by what it looks at, reads outside it, or asks the network",
        "CVE-2023-47630, CVE-2023-32076, CVE-2026-24117",
        titles=("extra-policy", "extra-python", "extra-dot-file", "link-to-*", "sums-of-a*", "linked-*"),
    ),
    AttackClass(
        "exhaustion: size, depth, count, time",
        "CVE-2024-45395, CVE-2024-29903, CVE-2023-33957, CVE-2023-33958, CVE-2023-25656, CVE-2020-6173",
        ("exhaustion",),
        ("*-deep", "*-deeper", "*-deep-and-open", "*-many-digits", "reproduction-flood"),
    ),
    AttackClass(
        "archives",
        "CVE-2025-4517, CVE-2025-4330, CVE-2025-4138, CVE-2024-12718, CVE-2026-48702",
        ("archives",),
    ),
    AttackClass(
        "a crash that is taken for a yes",
        "CVE-2026-23991",
        titles=("*-nothing", "*-list", "*-text", "*-null", "*-that-are-*", "*-that-is-*", "*-empty"),
    ),
    AttackClass("lies under a trusted key: what is signed and not true", groups=("lies",)),
    AttackClass("reproductions that nobody made", groups=("reproductions",)),
    AttackClass("attempts that nobody counted", groups=("ledger",)),
    AttackClass("redaction: what is withheld, and what is put in its place", groups=("redaction",)),
)
