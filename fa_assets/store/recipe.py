"""What an asset's values depend on besides its inputs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Recipe:
    """The version of an asset's code, raised by hand when the values it computes change, and the settings it uses.

    As text it is the asset's Dagster code version, so that a changed setting makes the asset stale and the UI shows
    which: ``1 n_folds=5 seed=42``.
    """

    version: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.version, *(f"{name}={value}" for name, value in self.settings.items())])


def short_digest(*parts: str) -> str:
    """16 hex digits of the sha256 of some texts: 64 bits, far from any collision among one platform's values."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
