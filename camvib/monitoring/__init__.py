"""The batch: discover recordings, claim them, judge them, keep the verdicts, open cases, tell people."""
