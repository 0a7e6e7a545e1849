"""Answers on their way into the ledger: once, checked, conflicts named."""

import json
from datetime import UTC, datetime

import pytest

from camvib.errors import CamvibError
from camvib.review.answers import import_file, parse, take


def item(store, key: str = "k1", kind: str = "confirmed", **more) -> dict:
    case = next(c for c in store.cases() if c.asset == "P-113")
    base = {"key": key, "kind": kind, "author": "MR", "at": "2026-11-23T07:00:00.000Z", "asset": "P-113"}
    return {**base, "case_id": case.id, "label": case.label, "text": "", "recording_id": "", "region": None, **more}


def save(tmp_path, *items):
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"camvib_answers": 1, "items": list(items)}))
    return file


def test_a_file_handed_in_twice_counts_once(store, tmp_path):
    file = save(tmp_path, item(store), item(store, "k2", "comment", text="loud"))
    assert (import_file(store, file).new, import_file(store, file).new) == (2, 0)
    assert import_file(store, file).known == 2
    (confirmed, comment) = store.answers(asset="P-113")
    assert (confirmed.kind, confirmed.author, comment.text) == ("confirmed", "MR", "loud")


def test_what_differs_is_named_and_kept(store):
    assert take(store, [item(store)]).conflicts == ()
    taken = take(store, [item(store, "k2", "nothing_found", author="AB", at="2026-11-23T09:00:00Z")])
    (conflict,) = taken.conflicts
    assert (conflict.first.author, conflict.second.author) == ("MR", "AB")
    assert len(store.answers()) == 2


def test_seen_and_snoozed_change_the_case_once(store):
    case = next(c for c in store.cases() if c.asset == "P-113")
    seen = item(store, "a1", "acknowledged", text="bolts ordered")
    assert take(store, [seen, seen]).new == 1
    assert next(c for c in store.cases() if c.id == case.id).state == "acknowledged"
    assert take(store, [item(store, "a2", "snoozed", until="2099-01-01")]).refused == ()
    assert next(c for c in store.cases() if c.id == case.id).state == "snoozed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": ""}, "no key"),
        ({"kind": "delete"}, "kind 'delete'"),
        ({"case_id": "1"}, "not a number"),
        ({"case_id": 10**9}, "no case"),
        ({"asset": "P-999"}, "no case"),
        ({"text": "x" * 5000}, "at most 4000"),
        ({"text": ["x"]}, "no text"),
        ({"at": "yesterday"}, "no time"),
        ({"region": {"start_s": 1}}, "region without"),
        ({"region": {"start_s": 1, "end_s": 0, "low_hz": 1, "high_hz": 2}}, "ends before"),
        ({"region": {"start_s": 0, "end_s": float("inf"), "low_hz": 1, "high_hz": 2}}, "not finite"),
        ({"kind": "acknowledged", "author": " "}, "by nobody"),
        ({"kind": "snoozed", "until": "soon"}, "no time"),
    ],
)
def test_what_is_wrong_is_refused_and_does_not_stop_the_others(store, change, said):
    taken = take(store, [{**item(store, "bad"), **change}, item(store, "good")])
    assert taken.new == 1
    assert said in taken.refused[0][1]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"camvib_answers": 2, "items": []}', "{}", '{"camvib_answers": 1, "items": 5}']
)
def test_another_file_is_an_error(store, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CamvibError) as error:
        import_file(store, tmp_path / "a.json")
    assert "a.json" in str(error.value)


def test_the_desk_writes_down_its_own_clock(store):
    answer, _ = parse(item(store, at="1999-01-01T00:00:00Z"), datetime(2026, 11, 23, 6, tzinfo=UTC))
    assert answer.at == "2026-11-23T06:00:00+00:00"
