"""``smtp://[user[:password]@]host[:port]?to=ann@plant.example&from=…``; ``smtps://`` speaks TLS from the start.

A password is better kept in CAMVIB_SMTP_PASSWORD than in a URL. Plain ``smtp`` turns to TLS where the server offers it.
"""

import os
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from camvib.errors import SettingsError
from camvib.monitoring.notifiers import Message

TIMEOUT_S = 30.0


def notify(url: str, message: Message) -> None:
    """Send the message by mail.

    Raises
    ------
    SettingsError
        The URL names no host or nobody to write to.
    OSError, smtplib.SMTPException
        The server cannot be reached, or does not take it.
    """
    parts, asked = urlsplit(url), parse_qs(urlsplit(url).query)
    to = [address for value in asked.get("to", []) for address in value.split(",") if address]
    if not parts.hostname or not to:
        raise SettingsError(
            f"{parts.scheme}://{parts.hostname or ''}: no host or no 'to'", "smtp://host?to=ann@example.com"
        )
    mail = EmailMessage()
    mail["Subject"], mail["To"] = message.subject, ", ".join(to)
    mail["From"] = asked.get("from", [f"camvib@{parts.hostname}"])[0]
    mail.set_content(message.text)
    secure = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(parts.hostname, parts.port or 465, timeout=TIMEOUT_S, context=secure)
    else:
        server = smtplib.SMTP(parts.hostname, parts.port or 25, timeout=TIMEOUT_S)
    with server:
        server.ehlo()
        if parts.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=secure)
        password = os.environ.get("CAMVIB_SMTP_PASSWORD") or unquote(parts.password or "")
        if parts.username and password:
            server.login(unquote(parts.username), password)
        server.send_message(mail)
