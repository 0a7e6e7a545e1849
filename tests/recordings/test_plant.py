"""The plant file: what it takes, what it refuses, what a draft of it holds."""

from datetime import date, timedelta

import pytest

from camvib.errors import SettingsError
from camvib.recordings.plant import Plant, draft

TODAY = date(2026, 11, 23)
TEXT = """
[plant]
name = "Plant Nord"
timezone = "Europe/Berlin"
due_days = 2

[machines.P-113]
name = "Feed pump"
area = "Boiler house"
criticality = "A"
due_days = 0.5
stop = 2026-11-27
limit = { rms = 7.1, unit = "mm/s" }

[actions.crack]
do = "Inspect"
within_days = 3

[actions.loose_clamp]
do = "Tighten"
at_stop = true
"""


def load(tmp_path, text: str = TEXT) -> Plant:
    (tmp_path / "plant.toml").write_text(text, "utf-8")
    return Plant.load(tmp_path / "plant.toml")


def test_a_machine_that_is_not_named_has_defaults(tmp_path):
    plant = load(tmp_path)
    assert plant.machine("P-113").area == "Boiler house"
    assert (plant.machine("new").criticality, plant.machine("new").area) == ("B", "")
    assert (plant.due("P-113"), plant.due("new")) == (timedelta(days=0.5), timedelta(days=2))


def test_deadlines_follow_action_then_stop_then_criticality(tmp_path):
    plant = load(tmp_path)
    assert plant.deadline("P-113", "crack", TODAY) == (date(2026, 11, 26), False)
    assert plant.deadline("P-113", "loose_clamp", TODAY) == (date(2026, 11, 27), True)
    assert plant.deadline("P-113", "loose_clamp", date(2026, 12, 1)) == (date(2026, 12, 3), False)  # the stop is over
    assert plant.deadline("P-113", "other", TODAY) == (date(2026, 11, 25), False)
    assert plant.deadline("new", "other", TODAY) == (date(2026, 11, 30), False)


def test_joint_faults_take_the_action_that_is_named(tmp_path):
    assert load(tmp_path).action("impact+crack").do == "Inspect"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[machines.A]\ncriticallity = 'A'", "machines.A.criticallity"),
        ("[machines.A]\ncriticality = 'D'", "machines.A.criticality"),
        ("[plant]\ntimezone = 'Europe/Berln'", "no time zone 'Europe/Berln'"),
        ("[plant\n", "plant.toml"),
        ("[plant]\ndue_days = 0", "due_days"),
        ("[alarm]\nact_probability = 1.2", "alarm.act_probability"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, said):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert said in str(error.value)
    assert "camvib plant init" in error.value.remedy


def test_a_missing_file_is_an_error_and_none_is_an_empty_plant(tmp_path):
    assert Plant.load(None).machines == {}
    with pytest.raises(SettingsError, match=r"plant\.toml"):
        Plant.load(tmp_path / "plant.toml")


def test_a_draft_holds_every_asset_whatever_it_is_called_and_reads_back(tmp_path):
    names = ["P-1", 'a"b\\c', "x.y [z]", "tab\tnew\nline", "<script>", "Größe"]
    plant = load(tmp_path, draft(names, ["crack", "loose clamp"]))
    assert list(plant.machines) == names
    assert plant.action("crack").do
    assert plant.action("loose clamp").title == "Loose clamp"
    assert plant.action("unknown").title == "Changed, no known fault"
