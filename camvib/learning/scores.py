"""Accuracy, macro-F1, recall by class, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score


def predicted_label(logits: NDArray[np.floating], classes: Sequence[str], multilabel: bool) -> str:
    """Label that logits, shape (classes,), stand for; several faults are joined by ``+``."""
    if not multilabel:
        return classes[int(np.argmax(logits))]
    return "+".join(name for name, logit in zip(classes, logits, strict=True) if logit > 0) or "healthy"


def classification_figures(
    labels: Sequence[str], logits: NDArray[np.floating], classes: Sequence[str], *, multilabel: bool = False
) -> dict[str, Any]:
    """Figures of one test set.

    Parameters
    ----------
    labels : sequence of str
        The truth, one a recording.
    logits : ndarray, shape (recordings, classes)
    classes : sequence of str

    Returns
    -------
    dict
        accuracy, macro_f1 (over the labels that occur in the truth), recall by label, confusion
        (rows truth, columns predicted) and its confusion_labels.
    """
    truth = ["+".join(sorted(label.split("+"))) for label in labels] if multilabel else list(labels)
    guessed = [predicted_label(row, classes, multilabel) for row in logits]
    present = sorted(set(truth), key=lambda label: (label not in classes, label))
    order = [c for c in classes if c in truth or c in guessed] if not multilabel else sorted({*truth, *guessed})
    recalls = recall_score(truth, guessed, labels=present, average=None, zero_division=0)
    return {
        "accuracy": float(accuracy_score(truth, guessed)),
        "macro_f1": float(f1_score(truth, guessed, labels=present, average="macro", zero_division=0)),
        "recall": {label: float(value) for label, value in zip(present, recalls, strict=True)},
        "confusion": confusion_matrix(truth, guessed, labels=order).tolist(),
        "confusion_labels": list(order),
    }
