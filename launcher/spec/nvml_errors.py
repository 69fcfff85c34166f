"""NVML's error codes in words: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html."""

from collections.abc import Mapping

LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND, DRIVER_NOT_LOADED = 12, 13, 9
NOT_SUPPORTED, NOT_FOUND, GPU_IS_LOST = 3, 6, 15

REASONS: Mapping[int, str] = {
    1: "NVML was not started",
    2: "NVML calls an argument invalid",
    3: "the GPU or its driver does not support it",
    4: "this user may not ask the driver: its device files under /dev are closed",
    5: "NVML was started twice",
    6: "NVML does not find what was asked for",
    7: "NVML calls a buffer too small",
    8: "the GPU's power cables are not connected",
    9: "NVIDIA's kernel driver is not loaded",
    10: "NVIDIA's driver does not answer in time",
    11: "the kernel has a problem with the GPU's interrupts",
    12: "there is no libnvidia-ml.so.1 on the loader's path",
    13: "libnvidia-ml.so.1 is too old: it lacks a function",
    14: "the GPU's infoROM is corrupted",
    15: "the GPU is lost: it fell off the bus, or was taken from this machine",
    16: "the GPU must be reset before it can be used",
    17: "the operating system refuses access to the GPU: a control group may forbid its device files",
    18: "the driver's library and its kernel module differ in version: reboot, or load the module anew",
    19: "the GPU is in use",
    20: "NVML is out of memory",
    21: "the driver has no data",
    22: "ECC of a virtual GPU is not supported",
    23: "the GPU lacks the resources",
    24: "the clock's frequency is not supported",
    25: "libnvidia-ml.so.1 and nvidia-ml-py disagree on the version of a call",
    26: "the call is no longer supported by the driver",
    27: "the driver is not ready yet",
    28: "no GPU was found",
    29: "the GPU is in an invalid state",
    30: "the GPU cannot be reset in that way",
    999: "the driver failed without saying why",
}


def reason(code: int) -> str:
    """Return why NVML answered `code`."""
    return REASONS.get(code, f"NVML answers with error {code}, which is not known")
