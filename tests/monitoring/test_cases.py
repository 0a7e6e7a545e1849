"""The case's state machine: what must hold for any course of recordings and any acts of people."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camvib.errors import SettingsError, StoreError
from camvib.monitoring.cases import CasePolicy, Mark, Observation, act, joined, marks_of, severity, step
from camvib.records import Case, Diagnosis

START = datetime(2026, 1, 1, tzinfo=UTC)
CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@st.composite
def policies(draw: st.DrawFn) -> CasePolicy:
    n = draw(st.integers(1, 6))
    low, high = sorted((draw(st.floats(0, 1)), draw(st.floats(0.05, 1))))
    return CasePolicy(
        k=draw(st.integers(1, n)),
        n=n,
        clear_probability=low,
        alert_probability=high,
        delay_s=draw(st.sampled_from([0.0, 3600.0, 7200.0])),
        clear_after=draw(st.integers(1, 5)),
        latch=draw(st.booleans()),
    )


def at(hour: float) -> str:
    return (START + timedelta(hours=hour)).isoformat(timespec="milliseconds")


def hourly(chances: list[float], family: str = "crack") -> list[Observation]:
    return [
        Observation(at(hour), {family: Mark(at(hour), chance, family, f"r{hour}")})
        for hour, chance in enumerate(chances)
    ]


def run(chances: list[float], policy: CasePolicy, case: Case | None = None) -> list[Case | None]:
    seen, found = hourly(chances), []
    for end in range(1, len(seen) + 1):
        case = step(case, "pump", "crack", seen[:end], policy)
        found.append(case)
    return found


@given(CHANCES, policies())
def test_a_case_opens_only_on_k_of_n_that_reach_the_lower_threshold(chances: list[float], policy: CasePolicy) -> None:
    before: Case | None = None
    for hour, case in enumerate(run(chances, policy)):
        opened = case is not None and (before is None or before.state == "closed") and case.state == "open"
        if opened:
            last = chances[max(0, hour - policy.n + 1) : hour + 1]
            assert sum(0 < chance >= policy.clear_probability for chance in last) >= policy.k
            assert any(chance >= policy.alert_probability for chance in chances[: hour + 1])
        before = case


@given(CHANCES, policies())
def test_n_sure_recordings_in_a_row_always_open_a_case(chances: list[float], policy: CasePolicy) -> None:
    sure = max(policy.n, policy.k) + 2  # two hours more than any delay here needs beside n
    if policy.n * 3600 <= policy.delay_s:
        return  # n recordings an hour apart never span the delay
    case = run([*chances, *[1.0] * sure], policy)[-1]
    assert case is not None
    assert case.state == "open"


@given(CHANCES, policies())
def test_below_the_threshold_there_is_never_a_case(chances: list[float], policy: CasePolicy) -> None:
    quiet = [chance * policy.alert_probability * 0.99 for chance in chances]
    assert run(quiet, policy)[-1] is None


@given(CHANCES, policies(), st.floats(0, 10))
def test_severity_is_the_product_and_bounded_by_the_criticality(
    chances: list[float], policy: CasePolicy, criticality: float
) -> None:
    policy = replace(policy, criticality={"pump": criticality})
    for case in run(chances, policy):
        if case is not None:
            assert case.severity == pytest.approx(
                case.probability * case.persistence * criticality if case.hits else 0.0
            )
            assert 0 <= case.severity <= criticality + 1e-9
    assert severity(0.5, 2, 4, 2.0) == 0.5


@given(CHANCES, policies())
def test_looking_twice_at_the_same_recordings_changes_nothing(chances: list[float], policy: CasePolicy) -> None:
    seen = hourly(chances)
    once = run(chances, policy)[-1]
    assert step(once, "pump", "crack", seen, policy) == once


@given(CHANCES, policies())
def test_a_latched_case_ends_by_itself_only_after_somebody_saw_it(chances: list[float], policy: CasePolicy) -> None:
    policy = replace(policy, latch=True)
    found = [case for case in run(chances, policy) if case is not None]
    assert all(case.state == "open" for case in found)
    if found:
        seen = act(found[-1], "acknowledged", "ann", at(len(chances)))
        quiet = hourly([*chances, *[0.0] * (policy.clear_after + 1)])
        for end in range(len(chances) + 1, len(quiet) + 1):
            after = step(seen, "pump", "crack", quiet[:end], policy)
            assert after is not None
            seen = after
        assert seen.state == "closed"
        assert seen.events[-1].kind == "cleared"


@given(CHANCES, policies(), st.integers(1, 10))
def test_a_snoozed_case_alerts_again_only_when_its_time_is_up(
    chances: list[float], policy: CasePolicy, hours: int
) -> None:
    policy = replace(policy, latch=True, delay_s=0.0)
    chances = [*chances, *[1.0] * policy.n]
    case = run(chances, policy)[-1]
    assert case is not None
    until = at(len(chances) + hours)
    case = act(case, "snoozed", "ann", at(len(chances) - 0.5), until=until)
    going_on = [*chances, *[1.0] * (hours + 2)]
    for hour, after in enumerate(run(going_on, policy, case)):
        if hour >= len(chances):
            assert after is not None
            assert (after.state == "open") == (at(hour) >= until)


@given(CHANCES, policies())
def test_what_a_closed_case_knew_does_not_open_the_next(chances: list[float], policy: CasePolicy) -> None:
    case = run([*chances, *[1.0] * (policy.n + 3)], policy)[-1]
    if case is None:
        return
    closed = act(case, "closed", "ann", case.updated_at, note="bolt tightened")
    seen = hourly([*chances, *[1.0] * (policy.n + 3)])
    assert step(closed, "pump", "crack", seen, policy) == closed


ACTS = st.lists(st.sampled_from(["acknowledged", "snoozed", "closed", "reopened"]), max_size=12)


@given(ACTS)
def test_people_do_only_what_the_state_allows_and_nothing_is_forgotten(acts: list[str]) -> None:
    case = run([1.0, 1.0, 1.0], CasePolicy())[-1]
    assert case is not None
    done = 0
    for number, kind in enumerate(acts):
        allowed = (case.state == "closed") == (kind == "reopened") and not (
            kind == "acknowledged" and case.state == "acknowledged"
        )
        try:
            case = act(case, kind, "ann", at(10 + number), until=at(1000))  # type: ignore[arg-type]
        except StoreError:
            assert not allowed
        else:
            assert allowed
            done += 1
    assert len(case.events) == 1 + done
    assert (case.snoozed_until != "") == (case.state == "snoozed")


def test_an_act_without_a_name_or_an_end_is_refused() -> None:
    case = run([1.0, 1.0], CasePolicy())[-1]
    assert case is not None
    with pytest.raises(StoreError, match="nobody"):
        act(case, "closed", " ", at(3))
    with pytest.raises(StoreError, match="snoozed until"):
        act(case, "snoozed", "ann", at(3), until=at(2))
    with pytest.raises(StoreError, match="nothing that a person does"):
        act(case, "opened", "ann", at(3))


def test_a_delay_waits_for_time_not_for_recordings() -> None:
    policy = CasePolicy(k=2, n=4, delay_s=3 * 3600)
    found = run([1.0] * 5, policy)
    assert [case is not None for case in found] == [False, False, False, True, True]


def test_hysteresis_keeps_a_wavering_fault_together() -> None:
    policy = CasePolicy(k=3, n=3, alert_probability=0.7, clear_probability=0.4)
    assert run([0.75, 0.5, 0.45], policy)[-1] is not None
    assert run([0.5, 0.5, 0.5], policy)[-1] is None
    assert run([0.75, 0.3, 0.5], policy)[-1] is None


def verdict(kind: str, label: str, **chances: float) -> Diagnosis:
    return Diagnosis("r", "x.wav", "a", "pump", kind, label, chances)  # type: ignore[arg-type]


def test_verdicts_become_marks_by_family() -> None:
    policy = CasePolicy(families={"inner race": "bearing", "outer race": "bearing"})
    marks = marks_of(
        verdict("fault", "inner race", healthy=0.1, **{"inner race": 0.5, "outer race": 0.3}), at(0), policy
    )
    assert marks is not None
    assert marks["bearing"].probability == pytest.approx(0.8)
    assert marks["bearing"].label == "inner race"
    assert marks_of(verdict("refused", ""), at(0), policy) is None
    unknown = marks_of(verdict("unknown", "crack", healthy=0.1, crack=0.9), at(0), policy)
    assert unknown is not None
    assert list(unknown) == ["unknown"]
    assert unknown["unknown"].probability >= policy.alert_probability


def test_channels_of_one_moment_count_as_one_recording() -> None:
    both = joined(
        [
            (at(1), {"crack": Mark(at(1), 0.4, "crack", "a")}),
            (at(1), {"crack": Mark(at(1), 0.9, "crack", "b"), "impact": Mark(at(1), 0.1, "impact", "b")}),
            (at(0), {"crack": Mark(at(0), 0.2, "crack", "c")}),
        ]
    )
    assert [one.at for one in both] == [at(0), at(1)]
    assert both[1].of("crack").recording_id == "b"
    assert both[1].of("loose").probability == 0.0


def test_a_policy_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(SettingsError, match="4 of 3"):
        CasePolicy(k=4, n=3)
    with pytest.raises(SettingsError, match="to clear"):
        CasePolicy(clear_probability=0.8, alert_probability=0.5)
