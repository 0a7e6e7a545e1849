"""``https://…`` posts the message as JSON: subject, text and the case's data."""

import json
import urllib.request

from camvib.monitoring.notifiers import Message

TIMEOUT_S = 30.0


def notify(url: str, message: Message) -> None:
    """Post the message.

    Raises
    ------
    OSError
        The server cannot be reached, or answers with an error.
    """
    body = json.dumps({"subject": message.subject, "text": message.text, **message.data}, allow_nan=False).encode()
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json", "User-Agent": "camvib"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        return
