"""Tell people of a new case: one module a way, found by the scheme of a URL (entry points ``camvib.notifiers``).

A module has one function ``notify(url, message)`` that returns when the message is on its way, or raises. A way is
named as ``log:``, ``smtp://host?to=…``, ``https://…`` or ``mqtt://host/topic``; a plugin brings its own scheme.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from typing import Any

from camvib.errors import CamvibError, SettingsError
from camvib.monitoring.ledger import Store
from camvib.records import Case, CaseEvent

_SCHEMES = {"smtps": "smtp", "http": "webhook", "https": "webhook", "mqtts": "mqtt"}
_LOG = logging.getLogger("camvib.alerts")


@dataclass(frozen=True)
class Message:
    """What people are told of a case.

    Attributes
    ----------
    subject : str
        One line.
    text : str
    data : dict
        The same for programs.
    """

    subject: str
    text: str
    data: dict[str, Any]


Notify = Callable[[str, Message], None]


def notifier(url: str) -> Notify:
    """Find what tells by a URL.

    Raises
    ------
    SettingsError
        No notifier has this scheme, or it cannot be loaded.
    """
    scheme = url.partition(":")[0].lower()
    own = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}
    known = own | {point.name: point.value for point in entry_points(group="camvib.notifiers")}
    module = known.get(scheme) or known.get(_SCHEMES.get(scheme, ""))
    if module is None:
        raise SettingsError(
            f"{url!r}: no notifier {scheme!r}", f"Use one of {', '.join(sorted({*known, *_SCHEMES}))}, e.g. log:"
        )
    try:
        found: Notify = importlib.import_module(module).notify
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"{url!r}: notifier {module} cannot be loaded: {error}", "Install it anew") from error
    return found


def message_of(case: Case, event: CaseEvent, link: str = "") -> Message:
    """Say what is known of a case, in words and for programs."""
    what = case.label.replace("_", " ") or case.family
    again = " again" if event.kind == "woken" else ""
    subject = f"{case.asset or '(no name)'}: {what}{again}, {case.hits} of the last {case.of} recordings"
    lines = [
        subject,
        "",
        f"severity {case.severity:.2f} (probability {case.probability:.2f}, criticality {case.criticality:g})",
        f"since {case.since}, alarm at {event.at}",
        f"case {case.id}; 'camvib case acknowledge {case.id}' takes it on",
    ]
    if link:
        lines.append(f"report {link}")
    data = {name: value for name, value in asdict(case).items() if name != "events"}
    return Message(" ".join(subject.split()), "\n".join(lines), {"event": event.kind, "at": event.at, **data})


def tell(store: Store, urls: Sequence[str], link: str = "") -> list[Case]:
    """Tell people of cases that were opened or woken, each once at most: who cannot be told is not told later.

    Parameters
    ----------
    store : Store
    urls : sequence of str
    link : str
        Where the report is.

    Returns
    -------
    list of Case
        Those that were told of.
    """
    ways = [(url, notifier(url)) for url in urls]  # a misspelt one is refused before anything counts as told
    told = []
    for case, event in store.take_alerts():
        message = message_of(case, event, link)
        told.append(case)
        for url, notify in ways:
            try:
                notify(url, message)
            # A mail server that is down must not end the run; a plugin may raise anything.
            except Exception as error:  # noqa: BLE001
                reason = error.message if isinstance(error, CamvibError) else f"{type(error).__name__}: {error}"
                _LOG.error("%s: nobody was told by %s: %s", message.subject, url.partition(":")[0], reason)
    return told
