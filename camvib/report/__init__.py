"""Diagnoses as one offline HTML page. Imports drawing, records and errors."""

from camvib.report.page import write_report

__all__ = ["write_report"]
