"""Which device a setting means on this machine, and a GPU for each process where there are several.

torch is imported where it is asked; "cpu" asks nothing.
"""

import atexit
import logging
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from fa_assets.errors import UserError

log = logging.getLogger(__name__)


def resolve_device(device: str) -> str:
    """A torch device of this machine.

    Args:
        device: "auto" (CUDA where torch finds it, else the CPU), "cpu", "cuda", "cuda:1", "mps" or any other of torch's.
            With several GPUs, "auto" gives each process one that no other process has taken so.

    Raises:
        UserError: an unknown device, or one that is not there.
    """
    if device == "cpu":
        return device
    import torch

    if device == "auto":
        return _own_gpu() if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise UserError(
            f"Unknown device {device!r}: use auto, cpu, cuda, cuda:N, mps or any other torch device. {_there_is()}"
        ) from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        built = f"torch {torch.__version__} is built for CUDA {torch.version.cuda or '(none: a CPU-only build)'}"
        raise UserError(
            f"Device {device} was asked for, but torch finds no CUDA device here ({built}). "
            "Use --device auto or --device cpu, or install a CUDA build of torch and check `nvidia-smi`."
        )
    if not ((wanted.index or 0) < torch.cuda.device_count() if wanted.type == "cuda" else _works(wanted)):
        raise UserError(f"Device {device} is not available. {_there_is()} Use one of these, or --device auto.")
    return device


@contextmanager
def full_float32() -> Iterator[None]:
    """Full float32 in matrix products and convolutions; the process's own settings are restored after."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def device_name(device: str) -> str:
    """The GPU's or processor's own name; a device that torch has no name for is called as it is."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return processor_name() if kind in ("cpu", "mps") else device


def processor_name() -> str:
    """The processor's own name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@cache
def take_gpu(gpus: tuple[str, ...], folder: Path) -> int:
    """The number of a GPU that no other process has taken, until this one ends.

    Args:
        gpus: what tells them apart, also where other processes see others of the machine's.
        folder: where a file for each is locked.

    Returns:
        The same one each time; when all are taken, one that is shared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, gpu in enumerate(gpus):
        lock = FileLock(folder / f"{gpu}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        atexit.register(lock.release)  # which keeps it as long as the process lives
        return number
    shared = os.getpid() % len(gpus)
    log.warning(
        "All %d GPUs are taken by other processes: sharing cuda:%d. Lower the limit of pool gpu.", len(gpus), shared
    )
    return shared


def _own_gpu() -> str:
    import torch

    count = torch.cuda.device_count()
    if count == 1:
        return "cuda"
    gpus = tuple(str(getattr(torch.cuda.get_device_properties(i), "uuid", i)) for i in range(count))
    user = os.getuid() if hasattr(os, "getuid") else ""
    return f"cuda:{take_gpu(gpus, Path(tempfile.gettempdir()) / f'fa_assets-gpus-{user}')}"


def _works(device: object) -> bool:
    """Whether a number can be sent there and back."""
    import torch

    try:
        return bool(torch.ones(1, device=device).cpu()[0] == 1)  # type: ignore[call-overload]
    except Exception:  # of many kinds: not built for it, no driver, no such number
        return False


def _there_is() -> str:
    import torch

    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return f"Here there is {', '.join(['cpu', *(f'cuda:{i}' for i in gpus), *mps])}."
