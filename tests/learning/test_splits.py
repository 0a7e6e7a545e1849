"""No group ever stands on two sides."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camvib.errors import SplitError
from camvib.learning.splits import Split, check_no_leak, group_split, grouped_folds


@given(
    groups=st.integers(4, 30),
    each=st.integers(1, 6),
    labels=st.integers(2, 4),
    test_fraction=st.floats(0.1, 0.5),
    seed=st.integers(0, 100),
)
def test_splits_never_leak_and_lose_nothing(
    groups: int, each: int, labels: int, test_fraction: float, seed: int
) -> None:
    g = [f"g{i}" for i in range(groups) for _ in range(each * labels)]
    y = [f"l{k}" for _ in range(groups) for k in range(labels) for _ in range(each)]
    split = group_split(y, g, test_fraction=test_fraction, seed=seed)
    check_no_leak(split, g)
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(len(g)))
    assert len(split.test)
    assert {y[i] for i in split.test} <= {y[i] for i in split.train}
    assert [part.tolist() for part in group_split(y, g, test_fraction=test_fraction, seed=seed)] == [
        part.tolist() for part in split
    ]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=24
    ),
    test_fraction=st.floats(0.1, 0.5),
    seed=st.integers(0, 20),
)  # fmt: skip
def test_any_small_set_is_split_or_refused_in_a_sentence(
    rows: list[tuple[int, int]], test_fraction: float, seed: int
) -> None:
    """Groups × classes × counts as plants have them: one recording a machine, classes with a single one."""
    g, y = [f"g{group}" for group, _ in rows], [f"l{label}" for _, label in rows]
    for split in (lambda: group_split(y, g, test_fraction=test_fraction, seed=seed), lambda: grouped_folds(y, g)):
        with contextlib.suppress(SplitError):  # any other error escapes
            split()


@pytest.mark.parametrize(("machines", "labels"), [(6, 3), (9, 3), (12, 4), (12, 3), (4, 2)])
def test_one_recording_a_machine(machines: int, labels: int) -> None:
    g, y = [f"m{i}" for i in range(machines)], [f"l{i % labels}" for i in range(machines)]
    split = group_split(y, g)
    check_no_leak(split, g)
    assert len(split.test)
    assert {y[i] for i in split.test} <= {y[i] for i in split.train}


def test_a_leak_is_named() -> None:
    import numpy as np

    with pytest.raises(SplitError, match="pump-1"):
        check_no_leak(Split(np.array([0]), np.array([], int), np.array([1])), ["pump-1", "pump-1"])


def test_two_groups_still_give_a_test_set() -> None:
    split = group_split(["a", "b"] * 4, ["g1"] * 4 + ["g2"] * 4)
    assert len(split.test) == 4
    assert len(split.validation) == 0


def test_labels_bound_to_one_group_each_cannot_be_tested() -> None:
    with pytest.raises(SplitError, match="never trained on"):
        group_split(["a", "a", "b", "b"], ["g1", "g1", "g2", "g2"])
    with pytest.raises(SplitError, match="only 1 group"):
        group_split(["a", "b"], ["g1", "g1"])


def test_where_each_group_has_one_label_the_test_set_still_shows_both() -> None:
    """Sessions of a healthy machine and sessions of a faulty one: four small folds would test one label each."""
    labels = ["ok"] * 43 + ["ok"] * 43 + ["worn"] * 12 + ["worn"] * 12
    groups = ["a"] * 43 + ["b"] * 43 + ["c"] * 12 + ["d"] * 12
    split = group_split(labels, groups)
    assert {labels[i] for i in split.test} == {"ok", "worn"}
    assert {labels[i] for i in split.train} == {"ok", "worn"}


def test_grouped_folds_test_each_entry_once_and_never_what_was_not_learned() -> None:
    labels = ["a", "b"] * 6 + ["c", "c"]
    groups = [f"g{i // 4}" for i in range(12)] + ["g9", "g9"]
    folds = grouped_folds(labels, groups)
    tested = sorted(int(i) for _, test in folds for i in test)
    assert tested == list(range(12))  # c stands in one group: nothing could have been learned of it
    assert all(not {groups[i] for i in train} & {groups[i] for i in test} for train, test in folds)
    with pytest.raises(SplitError, match="one group only"):
        grouped_folds(["a", "a", "b", "b"], ["1", "1", "2", "2"])
