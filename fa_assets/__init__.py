"""Dagster assets for labelled audio; `AudioTagging` is the Dagster component."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fa_assets.definitions import AudioTagging

__all__ = ["AudioTagging"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Dagster is imported when the component is asked for, not with the package."""
    if name == "AudioTagging":
        from fa_assets.definitions import AudioTagging

        return AudioTagging
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
