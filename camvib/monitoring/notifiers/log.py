"""``log:`` writes a warning to the logger ``camvib.alerts``, and a line to the standard error where nobody listens."""

import logging

from camvib.monitoring.notifiers import Message


def notify(url: str, message: Message) -> None:
    """Write the message to the log."""
    logging.getLogger("camvib.alerts").warning("%s", message.text)
