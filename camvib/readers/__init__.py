"""Files of any format → channels → recordings in SI units: one file a format.

A reader is a module in the entry-point group ``camvib.readers`` with ``sniff(head, path) -> bool``,
``read(path) -> Iterator[Channel]`` and, if it must be asked before others, an integer ``priority`` (default 50).
Imports records, units and errors.
"""

from camvib.readers.opening import Contents, in_this_process, open_file
from camvib.readers.parsing.channel import Channel, LeftOut, Rate
from camvib.readers.parsing.names import is_time, split_name
from camvib.readers.parsing.numbers import hertz_per, read_number
from camvib.readers.parsing.text import parse_date
from camvib.readers.reading import describe, read, read_channels, recordings_of

__all__ = [
    "Channel",
    "Contents",
    "LeftOut",
    "Rate",
    "describe",
    "hertz_per",
    "in_this_process",
    "is_time",
    "open_file",
    "parse_date",
    "read",
    "read_channels",
    "read_number",
    "recordings_of",
    "split_name",
]
