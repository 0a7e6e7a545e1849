"""Histories and cases → rows: states, order, what is new, how sure, until when."""

from dataclasses import replace
from datetime import timedelta

import pytest
from invented_plant import NOW, PLANT, SINCE, TRUST, case, histories, history, point, view

from camvib.recordings.plant import Plant
from camvib.records import Answer, AssetHistory
from camvib.report.histories import plant_view
from camvib.report.view import Trust


def one(given: AssetHistory, plant: Plant = PLANT, **more):
    made = plant_view([given], plant.model_copy(update={"machines": {}}), now=NOW, **{"since": SINCE, **more})
    (row,) = (*made.rows, *made.quiet)
    return row


def test_machines_stand_in_the_order_of_urgency_and_none_is_lost():
    made = view(60)
    assert [row.tag for row in made.rows] == ["G-204", "M-310", "F-021", "P-113", "P-207", "P-301", "K-002", "M-412"]
    assert [row.state for row in made.rows] == ["act"] * 4 + ["watch"] + ["blind"] * 3
    assert made.machines == 60
    assert made.recordings == sum(len(h.points) for h in histories(60))
    assert {row.state for row in made.quiet} == {"ok"}


def test_within_act_the_deadline_counts_before_the_criticality():
    by = [row.by for row in view(60).of("act")]
    assert by == sorted(by)


def test_what_is_new_since_the_last_report():
    rows = {row.tag: row for row in view(60).rows}
    assert [tag for tag, row in rows.items() if row.is_new] == ["M-310", "F-021"]
    assert rows["P-113"].before == "act"
    assert view(60).difference("act") == 2
    assert view(60).difference("ok") == -4


def test_unknown_is_watch_and_has_no_probability():
    row = one(history("X", "unknown"))
    assert (row.state, row.probability, row.level) == ("watch", None, "")
    assert row.what == "Changed, no fault the model knows"


def test_a_likely_fault_that_changed_little_is_watched():
    given = history("X", "crack")
    small = replace(given, points=tuple(replace(p, change_db=min(p.change_db, 1.3)) for p in given.points))
    assert one(given).state == "act"
    assert one(small).state == "watch"


def test_a_change_that_is_not_sure_is_watched():
    given = history("X", "crack")
    unsure = tuple(replace(p, probability=0.55) if p.verdict == "fault" else p for p in given.points)
    row = one(replace(given, points=unsure))
    assert (row.state, row.level) == ("watch", "low")


def test_one_that_goes_down_after_a_repair_falls_back_to_watch():
    given = history("X", "crack", began=30)
    late = [p if n < 50 else replace(p, change_db=0.5) for n, p in enumerate(given.points)]
    row = one(replace(given, points=tuple(late)))
    assert row.state == "watch"
    assert row.before == "act"


def test_how_sure_follows_how_often_such_calls_were_right():
    given = history("X", "crack", began=9)
    assert one(given, trust=Trust()).level == "high"
    poor = tuple(replace(b, right=b.calls // 2) for b in TRUST.bins)
    assert one(given, trust=replace(TRUST, bins=poor)).level == "low"


def test_refused_recordings_make_a_machine_blind_since_the_first_of_them():
    row = one(history("X", "refused", began=3))
    assert (row.state, row.k, row.n) == ("blind", 2, 2)
    assert row.what == "4 % of samples clipped"
    assert row.before == "ok"


def test_silence_is_not_health():
    given = history("X")
    silent = replace(given, points=given.points[:40])
    row = one(silent)
    assert (row.state, row.what) == ("blind", "Silent: no recording")
    assert one(silent, plant=PLANT.model_copy(update={"due_days": None})).state == "ok"


def test_a_machine_of_the_plant_file_that_was_never_recorded_is_on_the_page():
    made = plant_view([], PLANT, now=NOW)
    assert {row.what for row in made.rows} == {"Never recorded"}
    assert made.machines == len(PLANT.machines)


def test_a_closed_case_leaves_the_machine_as_it_was():
    given = history("X", "crack")
    healed = tuple(
        replace(p, verdict="healthy", label="healthy", change_db=0.8) if n > 50 else p
        for n, p in enumerate(given.points)
    )
    done = replace(given.cases[0], state="closed", events=(*given.cases[0].events, closed(1)))
    row = one(replace(given, points=healed, cases=(done,)))
    assert (row.state, row.before) == ("ok", "act")


def closed(days_ago: float):
    from camvib.records import CaseEvent

    return CaseEvent((NOW - timedelta(days=days_ago)).isoformat(), "closed", "MR")


def test_several_cases_make_one_row_and_the_worst_names_it():
    both = history("X", "crack")
    second = case("X", "unknown", [p for p in both.points if p.verdict == "fault"])
    row = one(replace(both, cases=(second, both.cases[0])))
    assert row.label == "crack"
    assert row.others == ("Changed, no fault the model knows",)


def test_the_newest_note_stands_in_the_row():
    said = [
        Answer("k", "comment", "MR", (NOW - timedelta(days=d)).isoformat(), "X", text=t)
        for d, t in ((3, "b"), (9, "a"))
    ]
    assert one(history("X", "crack"), answers=said).note == "20 Nov: b (MR)"


def test_a_trend_keeps_its_peaks_and_its_gaps():
    given = history("X", every=1 / 24)
    high = replace(given.points[700], change_db=-7.0)
    row = one(
        AssetHistory(
            "X", (*given.points[:700], high, *given.points[701:], point("X", 9999, NOW, "refused", "", None, None))
        )
    )
    assert len(row.trend.db) <= 56
    assert max(row.trend.db) == 7.0
    assert row.trend.states.count("r") == 0  # a day with a judged recording is judged


@pytest.mark.parametrize(("kind", "began", "way"), [("crack", 20, "rising"), ("crack", 2.2, "")])
def test_which_way_a_trend_goes(kind, began, way):
    given = history("X", kind, began=began)
    row = one(given)
    assert (row.trend.way if row.trend and row.case else "") == way
