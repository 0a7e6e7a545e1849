"""What is tried follows from the data: rate, groups, healthy recordings, shaft speed; never from a name."""

from dataclasses import replace
from pathlib import Path

import pytest

from camvib.learning.candidates import Candidate, candidates
from camvib.learning.train import train
from camvib.settings import Settings

AUTO = Settings()


def networks(found: list[Candidate]) -> list[str]:
    return list(dict.fromkeys(one.settings.model.name for one in found))


def kinds(found: list[Candidate]) -> set[str]:
    return {one.settings.image.kind for one in found}


def test_slow_signals_have_no_carriers_and_so_no_envelope(make_data) -> None:
    assert kinds(candidates(make_data(rate_hz=512.0), AUTO)) == {"spectrogram"}
    fast = candidates(make_data(rate_hz=8192.0), AUTO)
    assert kinds(fast) == {"spectrogram", "envelope"}
    assert kinds(candidates(make_data(rate_hz=8192.0, seconds=0.3), AUTO)) == {"spectrogram"}


def test_few_groups_keep_to_what_sees_little(make_data) -> None:
    """A network that sees texture learns three machines by heart."""
    assert "gap_cnn" not in networks(candidates(make_data(groups=3), AUTO))
    assert networks(candidates(make_data(groups=8), AUTO))[0] == "gap_cnn"


def test_healthy_recordings_of_each_asset_bring_the_comparison_with_them(make_data) -> None:
    assert networks(candidates(make_data(each=4), AUTO))[0] == "change_cnn"
    assert "change_cnn" not in networks(candidates(make_data(each=2), AUTO))
    assert "change_cnn" not in networks(candidates(make_data(("a", "b"), each=4), AUTO))


def test_a_known_shaft_speed_brings_images_at_one_speed(make_data) -> None:
    still = candidates(make_data(rate_hz=8192.0), AUTO)
    turning = candidates(make_data(rate_hz=8192.0, shaft_hz=30.0), AUTO)
    assert not any(one.settings.image.at_shaft_speed for one in still)
    assert any(one.settings.image.at_shaft_speed for one in turning)


def test_labels_of_bearings_put_envelopes_first(make_data) -> None:
    bearings = candidates(make_data(("healthy", "outer_race"), rate_hz=8192.0), AUTO)
    assert bearings[0].settings.image.kind == "envelope"
    assert candidates(make_data(rate_hz=8192.0), AUTO)[0].settings.image.kind == "spectrogram"


def test_the_name_of_the_folder_decides_nothing(make_data) -> None:
    data = make_data(rate_hz=8192.0)
    for name in ("cwru", "dropbear8", "anything"):
        assert candidates(replace(data, folder=Path(name)), AUTO) == candidates(data, AUTO)


def test_what_the_user_named_is_the_only_candidate(make_data) -> None:
    chosen = AUTO.with_(model={"name": "cnn_fc"}, image={"rows": 64})
    (only,) = candidates(make_data(), chosen)
    assert only.settings == chosen


def test_a_network_kept_to_brings_its_own_settings(make_data) -> None:
    data = make_data(rate_hz=8192.0)
    every = candidates(data, AUTO)
    kept = candidates(data, AUTO, "row_linear")
    assert kept == [one for one in every if one.settings.model.name == "row_linear"]
    (alone,) = candidates(data, AUTO, "cnn_fc")  # never tried by itself
    assert alone.settings.model.name == "cnn_fc"


def test_joint_faults_are_for_the_network_with_a_sigmoid_head(make_data) -> None:
    assert networks(candidates(make_data(), AUTO.with_(model={"head": "sigmoid"}))) == ["gap_cnn"]


def test_the_users_band_window_and_seed_reach_every_candidate(make_data) -> None:
    chosen = Settings.load(None, image={"window_s": 0.7, "high_hz": 2000.0}, training={"seed": 5})
    found = candidates(make_data(rate_hz=8192.0, shaft_hz=30.0, each=4), chosen)
    assert len(found) > 4
    assert {(one.settings.image.window_s, one.settings.image.high_hz) for one in found} == {(0.7, 2000.0)}
    assert {one.settings.training.seed for one in found} == {5}


def test_a_network_that_is_not_there_is_refused_before_anything_is_fitted(tmp_path: Path, write_lines) -> None:
    from camvib.errors import SettingsError

    with pytest.raises(SettingsError, match="there is no network 'resnet'"):
        train(write_lines(tmp_path / "set"), tmp_path / "run", network="resnet", progress=False)
