"""The networks, one file a published idea with its citation: image → logits and class maps that add up to them.

A network is found by the name of its file: a class ``NETWORK`` that keeps `camvib.networks.output.Network`.
"""

from __future__ import annotations

import importlib
import pkgutil

from camvib.errors import SettingsError
from camvib.networks.output import Network
from camvib.settings import Settings


def names() -> tuple[str, ...]:
    """Names of all networks."""
    files = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(name for name in files if hasattr(importlib.import_module(f"{__name__}.{name}"), "NETWORK"))


def network_class(name: str) -> type[Network]:
    """Find a network by its name.

    Raises
    ------
    SettingsError
        There is none of that name.
    """
    if name not in names():
        raise SettingsError(f"there is no network {name!r}", f"Use auto, or one of {', '.join(names())}")
    found: type[Network] = importlib.import_module(f"{__name__}.{name}").NETWORK
    return found


def build(classes: int, settings: Settings) -> Network:
    """Make the network that `settings` name, for images of their size.

    Raises
    ------
    SettingsError
        There is none of that name.
    """
    return network_class(settings.model.name).make(classes, settings.model, settings.image)
