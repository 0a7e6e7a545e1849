"""``mqtt://[user[:password]@]host[:port]/topic`` publishes the message as JSON; needs ``camvib[mqtt]``."""

import json
from urllib.parse import unquote, urlsplit

from camvib.errors import MissingExtra, SettingsError
from camvib.monitoring.notifiers import Message


def notify(url: str, message: Message) -> None:
    """Publish the message.

    Raises
    ------
    MissingExtra
        paho-mqtt is not installed.
    SettingsError
        The URL names no host or no topic.
    OSError
        The broker cannot be reached.
    """
    try:
        from paho.mqtt import publish
    except ImportError as error:
        raise MissingExtra(f"mqtt: {error}", "pip install 'camvib[mqtt]'") from error
    parts = urlsplit(url)
    if not parts.hostname or not parts.path.strip("/"):
        raise SettingsError("mqtt: no host or no topic", "mqtt://host/topic")
    login = {"username": unquote(parts.username), "password": unquote(parts.password or "")} if parts.username else None
    publish.single(
        parts.path.strip("/"),
        json.dumps({"subject": message.subject, **message.data}, allow_nan=False),
        qos=1,
        hostname=parts.hostname,
        port=parts.port or (8883 if parts.scheme == "mqtts" else 1883),
        auth=login,
        tls={} if parts.scheme == "mqtts" else None,
    )
