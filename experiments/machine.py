"""Which machine a result comes from."""

from pathlib import Path


def cpu_name() -> str:
    """Read the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")
