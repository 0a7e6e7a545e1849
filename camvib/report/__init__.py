"""A plant's machines as one offline HTML page. Imports diagnosis, images, drawing, recordings and what is below."""

from camvib.report.page import write_page

__all__ = ["write_page"]
