"""The exception tree. Every message names the file, the value, the limit and the remedy.

::

    CamvibError                 anything camvib refuses; has .remedy
    ├── SettingsError           a setting is unknown or out of range
    ├── UnitError               a unit word that is not known: never guessed
    ├── ReadError               a file cannot be read as a vibration recording
    │   ├── EmptyFile           no bytes, or no samples
    │   ├── Truncated           fewer samples than the header promises
    │   ├── UnknownFormat       no reader recognises the content
    │   ├── NotATimeSeries      a spectrum, an FRF, a feature table
    │   ├── MissingMetadata     no sampling rate or unit, in the file or declared
    │   ├── RateConflict        header, time column and declaration disagree
    │   └── MissingExtra        the format needs an optional package
    ├── LabelsError             labels.csv and the files beside it do not fit together
    ├── SplitError              groups leak, or there are too few of them
    ├── SignalError             a recording is not fit to be judged (becomes Refused)
    ├── ModelError              a model folder or URI is damaged, foreign or too new
    └── StoreError              the store cannot be opened or is too new
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Write as escapes what harms a terminal, a report or a table: control and direction marks, bytes of no encoding.

    Names of files and channels come from strangers: one with an escape sequence clears the screen of whoever lists it.
    """
    if text.isprintable():
        return text
    harmful = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in harmful else char
        for char in text
    )


class CamvibError(Exception):
    """Base of all errors that camvib raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, with the file, the value and the limit.
    remedy : str
        What to do next, as an instruction.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        message = printable(message)
        super().__init__(message)
        self.message = message
        self.remedy = printable(remedy)

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[type[CamvibError], tuple[str, str]]:
        return type(self), (self.message, self.remedy)


class SettingsError(CamvibError):
    """A setting is unknown or out of range."""


class UnitError(CamvibError):
    """A unit word is not known."""


class ReadError(CamvibError):
    """A file cannot be read as a vibration recording."""


class EmptyFile(ReadError):
    """The file has no bytes, or no samples."""


class Truncated(ReadError):
    """The file ends before the samples that its header promises."""


class UnknownFormat(ReadError):
    """No reader recognises the content of the file."""


class NotATimeSeries(ReadError):
    """The file holds a spectrum, a frequency response, features: no samples over time."""


class MissingMetadata(ReadError):
    """The sampling rate or the unit is neither in the file nor declared."""


class RateConflict(ReadError):
    """Two sources of the sampling rate disagree; the message shows both."""


class MissingExtra(ReadError):
    """The format needs an optional package that is not installed."""


class LabelsError(CamvibError):
    """labels.csv and the files beside it do not fit together."""


class SplitError(CamvibError):
    """Groups would leak between training and test, or there are too few of them."""


class SignalError(CamvibError):
    """A recording is not fit to be judged."""


class ModelError(CamvibError):
    """A model folder or registry URI is damaged, foreign or too new."""


class StoreError(CamvibError):
    """The store cannot be opened, or was written by a newer camvib."""
