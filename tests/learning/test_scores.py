"""What a report says of a model comes from recordings that were held out."""

import numpy as np

from camvib.learning.scores import trust_figures


def test_trust_figures_count_false_calls_missed_faults_and_how_often_a_confidence_was_right():
    classes = ("healthy", "crack", "mass")
    truth = ["healthy"] * 4 + ["crack"] * 4
    called = ["healthy", "healthy", "healthy", "crack", "crack", "crack", "mass", "healthy"]
    sure = [0.95, 0.95, 0.75, 0.55, 0.95, 0.95, 0.65, 0.55]
    chances = np.array(
        [[s if c == name else (1 - s) / 2 for name in classes] for c, s in zip(called, sure, strict=True)]
    )
    found = trust_figures(truth, chances, classes, "healthy")
    assert found["false_of_100"] == 25.0  # one of four calls
    assert found["missed_of_100"] == 25.0  # one of four faults
    assert [0.9, 1.0, 4, 4] in found["reliability"]
    assert [0.5, 0.6, 2, 0] in found["reliability"]
    assert sum(calls for _, _, calls, _ in found["reliability"]) == 8
    assert "false_of_100" not in trust_figures(truth, chances, classes, "")
