"""What an experiment ran on."""

import os

from lorecall.lm import cpu_name


def machine() -> dict[str, object]:
    """Name the processor and count its cores, for the results."""
    return {"cpu": cpu_name(), "cores": os.cpu_count()}
