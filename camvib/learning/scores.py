"""Accuracy, macro-F1, recall by class, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from camvib.diagnosis.verdict import predicted_label


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
    if not len(labels):  # nothing could be held out: there is no figure
        return {
            "accuracy": 0.0,
            "macro_f1": 0.0,
            "recall": {},
            "confusion": [[0]],
            "confusion_labels": ["none held out"],
        }
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


Verdicts = tuple[NDArray[np.str_], NDArray[np.str_]]  # truth and verdict of each case


def case_means(
    scores: NDArray[np.floating], cases: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Cases, and the mean score of the windows of each."""
    names = np.unique(cases)
    return names, np.stack([scores[cases == case].mean(axis=0) for case in names])


def figures(judged: Sequence[Verdicts], pooled: bool) -> dict[str, Any]:
    """Accuracy and macro-F1 over the labels that are tested: of all folds together, or the mean over folds."""
    if pooled:
        judged = [(np.concatenate([t for t, _ in judged]), np.concatenate([g for _, g in judged]))]
    folds = [
        {
            "accuracy": float(accuracy_score(truth, guess)),
            "macro_f1": float(f1_score(truth, guess, labels=np.unique(truth), average="macro", zero_division=0)),
        }
        for truth, guess in judged
    ]
    mean = {key: float(np.mean([fold[key] for fold in folds])) for key in ("accuracy", "macro_f1")}
    return {**mean, "folds": folds}


BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def trust_figures(
    truth: Sequence[str], chances: NDArray[np.floating], classes: Sequence[str], healthy: str
) -> dict[str, Any]:
    """Figures that a report shows to a maintenance engineer, from recordings of machines that were held out.

    Parameters
    ----------
    truth : sequence of str
    chances : ndarray, shape (recordings, classes)
        Calibrated.
    classes : sequence of str
    healthy : str
        The healthy class; empty: there is none, and false calls and missed faults have no meaning.

    Returns
    -------
    dict
        reliability: for each stretch of confidence [low, high, calls, right]; false_of_100: of 100 recordings called
        faulty so many are healthy; missed_of_100: of 100 faulty ones so many are called healthy.
    """
    names, labels = np.asarray(classes), np.asarray(truth)
    called, sure = names[chances.argmax(axis=1)], chances.max(axis=1)
    found: dict[str, Any] = {"reliability": []}
    for low, high in pairwise(BINS):
        inside = (sure > low) & (sure <= high)
        right = int((called[inside] == labels[inside]).sum())
        found["reliability"].append([low, high, int(inside.sum()), right])
    alarms, faulty = called != healthy, labels != healthy
    if healthy and alarms.any() and faulty.any():
        found["false_of_100"] = float(100 * (~faulty[alarms]).mean())
        found["missed_of_100"] = float(100 * (~alarms[faulty]).mean())
    return found
