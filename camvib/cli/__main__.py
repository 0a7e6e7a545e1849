"""``python -m camvib.cli``."""

from camvib.cli import main

main()
