"""The steps of a launch as its bundle's events.jsonl names them, in the order of a plain launch."""

from typing import Final

STEPS: Final = {
    "resolve": "image, code and inputs were found by their digests and the lock was made; `detail.lock`",
    "retry": "a download failed in a way that may pass and was tried again; `detail`: input, error",
    "engine": "the engine was asked what it is, left-overs of dead launchers were removed; `detail.runtime`",
    "image": "the image was found in the engine and proven, or loaded",
    "create": "a container was created; `detail`: replicate, phase, of a service its name",
    "start": "the engine started it: namespaces, limits, mounts, and our first process in it",
    "collect": "the command had ended; what it left was handed over, the container's last numbers were read",
    "service": "a service beside a phase; `seconds` until it was ready; `detail`: replicate, phase, name",
    "run": "the command of [run]; `detail`: replicate, seed, failure, reason, attempt",
    "score": "the command of [score]; `detail` alike",
    "inventory": "what the image contains was read, or known; `detail.unread` where it could not be",
    "replicates": "everything between the first container and the last; what is above runs inside it",
    "metrics": "outputs were read, labels joined, metrics computed",
    "words": "of a redactable run: what its program or harness said, which no signed statement repeats; "
    "`detail`: reason, harness",
    "bundle": "the bundle's files began to be written: signing and publishing follow, and no file that is "
    "signed can tell of them",
}
