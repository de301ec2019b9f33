"""The settings that a storage folder was last made with, kept beside the values, so that the UI does not make all of it again
only because an option was left out when it was opened."""

import json
from collections.abc import Mapping

from fa_assets.store.atomic import replacing
from fa_assets.store.roots import StoragePath

_FILE = "settings.json"


def made_with(root: StoragePath) -> Mapping[str, str]:
    """The settings of the last run, or of the UI that was last opened; nothing where none is known."""
    try:
        return {str(name): str(value) for name, value in json.loads((root / _FILE).read_text()).items()}
    except (FileNotFoundError, ValueError, AttributeError):  # none yet, or damaged: then nothing is refused
        return {}


def changed(root: StoragePath, settings: Mapping[str, str]) -> Mapping[str, str]:
    """The settings that are not those that it was last made with, each with both values in words."""
    before = made_with(root)
    differing = [name for name, value in before.items() if settings.get(name, value) != value]
    return {name: f"{name} {before[name] or 'none'}, now {settings[name] or 'none'}" for name in differing}


def remember(root: StoragePath, settings: Mapping[str, str]) -> None:
    """Keep the settings that are used from now on."""
    if made_with(root) != settings:
        with replacing(root / _FILE) as temporary:
            temporary.write_text(json.dumps(dict(settings), indent=1))
