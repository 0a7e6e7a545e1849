"""Diagnoses as one offline HTML page."""

from camvib.report.page import write_report

__all__ = ["write_report"]
