"""Diagnoses as one offline HTML page, and spectrograms as PNG pictures."""

from camvib.report.pictures import map_png, spectrogram_png
from camvib.report.render import write_report

__all__ = ["map_png", "spectrogram_png", "write_report"]
