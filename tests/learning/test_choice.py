"""The rule of one standard error, told by training groups alone, and remembered through a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camvib.errors import LabelsError
from camvib.learning import choice
from camvib.learning.candidates import Candidate, candidates
from camvib.learning.choice import Compared, WindowCache, compare, standard_error, voters
from camvib.learning.data import TrainingData
from camvib.learning.splits import grouped_folds
from camvib.settings import Settings

TINY = Settings.model_validate(
    {"image": {"rows": 16, "columns": 16, "window_s": 0.5}, "training": {"epochs": 1, "batch_size": 8}}
)


def one(macro_f1: float, n: int = 100, *, kind: str = "spectrogram", name: str = "gap_cnn", window_s: float = 1.0):
    settings = TINY.with_(image={"kind": kind, "window_s": window_s}, model={"name": name})
    return Compared(Candidate(kind, name, settings), np.arange(n), np.zeros((n, 2)), macro_f1)


def test_all_within_one_standard_error_vote_the_best_first() -> None:
    """At .80 of 100 recordings one standard error is .04."""
    best, close, far = one(0.80), one(0.77), one(0.75)
    assert standard_error(0.8, 100) == pytest.approx(0.04)
    assert voters([far, close, best]) == [best, close]


def test_of_more_recordings_fewer_differences_are_chance() -> None:
    assert len(voters([one(0.80, 100), one(0.77, 100)])) == 2
    assert len(voters([one(0.80, 1000), one(0.77, 1000)])) == 1


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=8), n=st.integers(1, 5000))
def test_the_best_always_votes_and_no_worse_than_one_error(scores: list[float], n: int) -> None:
    voting = voters([one(score, n) for score in scores])
    assert voting[0].macro_f1 == max(scores)
    least = max(scores) - standard_error(max(scores), n)
    assert [v.macro_f1 for v in voting] == sorted((score for score in scores if score >= least), reverse=True)


@pytest.mark.parametrize("other", [{"kind": "envelope"}, {"window_s": 0.5}, {"name": "change_cnn"}])
def test_only_alike_images_vote_with_the_best(other: dict[str, object]) -> None:
    best = one(0.8)
    assert voters([best, one(0.8 - 1e-6, **other)]) == [best]
    assert len(voters([best, one(0.8 - 1e-6, name="place_cnn")])) == 2


def inner(data: TrainingData) -> tuple[list[choice.Fold], np.ndarray]:
    """Folds within the first groups, and the recordings of the last two, which no comparison may see."""
    outer = np.flatnonzero(np.isin(data.groups, ["machine-4", "machine-5"]))
    kept = np.setdiff1d(np.arange(len(data)), outer)
    folds = grouped_folds([data.labels[i] for i in kept], [data.groups[i] for i in kept], most=2)
    return [(kept[train], kept[held]) for train, held in folds], outer


@pytest.fixture(scope="module")
def tried(make_data) -> list[Candidate]:
    return [c for c in candidates(make_data(), TINY) if c.settings.model.name in ("gap_cnn", "row_linear")]


def test_labels_and_signals_of_test_groups_change_no_choice(make_data, tried: list[Candidate]) -> None:
    data = make_data()
    folds, outer = inner(data)
    swapped = {"healthy": "line", "line": "healthy"}
    labels = [swapped[label] if i in outer else label for i, label in enumerate(data.labels)]
    targets = data.targets.copy()
    targets[outer] = 1 - targets[outer]
    noise = np.random.default_rng(9).standard_normal(1024).astype(np.float32)
    recordings = [replace(r, samples=noise) if i in outer else r for i, r in enumerate(data.recordings)]
    other = replace(data, labels=labels, targets=targets, recordings=recordings, digest="f" * 64)
    figures = []
    for given_data in (data, other):
        cache = WindowCache(given_data, progress=False)
        figures.append(compare(tried, given_data, folds, cache, minutes=9, progress=False))
    for a, b in zip(*figures, strict=True):
        assert np.array_equal(a.logits, b.logits)
        assert a.macro_f1 == b.macro_f1
        assert not np.isin(a.recordings, outer).any()
    assert [v.candidate for v in voters(figures[0])] == [v.candidate for v in voters(figures[1])]


def test_a_comparison_that_was_killed_goes_on_and_ends_alike(
    make_data, tried: list[Candidate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    folds, _ = inner(data)
    fit, fitted = choice.fit, []

    def counted(*args: object, **options: object):
        fitted.append(args)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(*args, **options)  # type: ignore[arg-type]

    def go(memory: Path | None) -> list[Compared]:
        return compare(tried, data, folds, WindowCache(data, progress=False), minutes=9, memory=memory, progress=False)

    unbroken = go(None)
    monkeypatch.setattr(choice, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "deep" / "comparison.json")
    resumed = go(tmp_path / "deep" / "comparison.json")
    assert len(fitted) == 3 + 2  # two fits were remembered, the broken one is made again
    for a, b in zip(resumed, unbroken, strict=True):
        assert a.logits == pytest.approx(b.logits, abs=1e-12)
        assert a.macro_f1 == b.macro_f1
    # A file that a kill cut short is no reason to fail.
    (tmp_path / "deep" / "comparison.json").write_text('{"abc": [[1.0,')
    assert len(go(tmp_path / "deep" / "comparison.json")) == len(unbroken)


def test_when_the_minutes_are_over_no_further_candidate_is_begun(make_data, tried: list[Candidate]) -> None:
    data = make_data()
    folds, _ = inner(data)
    found = compare(tried, data, folds, WindowCache(data, progress=False), minutes=1e-9, progress=False)
    assert [one.candidate.network for one in found] == [tried[0].network]


def test_a_candidate_that_the_folder_cannot_serve_is_left_out_and_alone_is_an_error(
    make_data, tried: list[Candidate]
) -> None:
    data = make_data(("a", "b"))
    folds, _ = inner(data)
    change = Candidate("spectrogram", "change_cnn", TINY.with_(model={"name": "change_cnn"}))
    found = compare([change, tried[0]], data, folds, WindowCache(data, progress=False), minutes=9, progress=False)
    assert [one.candidate.network for one in found] == [tried[0].network]
    with pytest.raises(LabelsError, match="means healthy"):
        compare([change], data, folds, WindowCache(data, progress=False), minutes=9, progress=False)
