"""The report's numbers, colours and words, and that it is written whole or not at all."""

import re
from dataclasses import replace

import numpy as np
import pytest

from camvib.errors import CamvibError
from camvib.monitoring.ledger import Store
from camvib.recordings.resampling import resample
from camvib.records import ActivationMap, ChangeMap, Diagnosis, Evidence, Recording, Region, Spectrogram
from camvib.report import words, write_report
from camvib.report.changes import way
from camvib.report.page import Contrast

HZ = np.geomspace(5, 800, 16)
SECONDS = np.linspace(0.1, 2.9, 24)


def evidence(label: str = "crack", reference: str = "healthy", strength: float = 8.0, unit: str = "m/s2") -> Evidence:
    rng = np.random.default_rng(0)
    values = np.zeros((16, 24))
    values[5:8, 4:9] = strength
    x = rng.standard_normal(200)
    return Evidence(
        Spectrogram(rng.normal(-40, 8, (16, 24)), HZ, SECONDS, unit),
        ActivationMap(values, HZ, SECONDS, label, reference, bias=0.5),
        x - 1,
        x + 1,
        np.linspace(0, 850, 257),
        rng.normal(-50, 5, 257),
    )


CRACK = Diagnosis(
    recording_id="ab12", recording="inbox/a.wav", channel="tip", asset="beam 1", verdict="fault", label="crack",
    probabilities={"crack": 0.9, "healthy": 0.08, "loose_clamp": 0.02}, reference="healthy", duration_s=3.0,
    regions=(Region(0.4, 1.2, 58, 66, 0.34, 1, "2nd bending mode, 62 Hz"),), sampling_rate_hz=25600.0, unit="m/s2",
)  # fmt: skip
REFUSED = Diagnosis("cd34", "inbox/b.wav", "", "beam 2", "refused", reason="no samples", remedy="Record it again")
HEALTHY = replace(CRACK, recording_id="ef56", verdict="healthy", label="healthy", reference="crack", regions=())


# --- words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.9999), "> 99 %"),
        (words.percent(1.0), "100 %"),
        (words.percent(0.001), "< 1 %"),
        (words.percent(0.345), "34 %"),
        (words.span(0.4, 1.2, "s"), "0.4–1.2 s"),
        (words.span(58, 66, "Hz"), "58–66 Hz"),
        (words.span(1200.4, 1200.6, "s"), "1200.4–1200.6 s"),
        (words.rate(25600.0), "25\u202f600 Hz"),
        (words.rate(1706.66667), "1\u202f706.667 Hz"),
        (words.odds(3.2), "25 : 1"),
        (words.odds(-3.2), "1 : 25"),
        (words.odds(60.0), "more than 1000 : 1"),
        (words.signed(-0.01), "+0.0"),
        (words.signed(-2.34), "−2.3"),
        (words.human("loose_clamp"), "loose clamp"),
    ],
)
def test_words(said, expected):
    assert said == expected


# --- what changed


def change_map(*patches: tuple[slice, slice, float]) -> ChangeMap:
    values = np.zeros((16, 24))
    for rows, columns, value in patches:
        values[rows, columns] = value
    return ChangeMap(values, HZ, SECONDS)


BOX = Region(float(SECONDS[4]), float(SECONDS[9]), float(HZ[4]), float(HZ[9]), 0.5, 1)


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([(slice(4, 8), slice(4, 10), 0.8)], "gain"),
        ([(slice(4, 8), slice(4, 10), -0.8)], "loss"),
        ([(slice(4, 6), slice(4, 10), 0.8), (slice(6, 8), slice(4, 10), -0.8)], "both"),  # a mode that moved: mean 0
        ([(slice(4, 10), slice(4, 10), -0.3)], "none"),
        ([(slice(10, 16), slice(10, 24), 1.0)], "none"),
    ],
)
def test_a_regions_word_is_that_of_its_own_cells(patches, expected):
    assert way(change_map(*patches), BOX) == expected


def test_a_region_outside_the_map_has_no_clear_change():
    assert way(change_map(), replace(BOX, start_s=7.0, end_s=8.0)) == "none"


def test_change_survives_the_store_and_evidence_without_it_has_none(tmp_path):
    store = Store(tmp_path / "s.db")
    given = change_map((slice(4, 8), slice(4, 10), -0.8))
    store.save(CRACK, replace(evidence(), change=given))
    store.save(HEALTHY, evidence("healthy", "crack"))
    back = store.evidence(CRACK)
    np.testing.assert_allclose(back.change.values, given.values, atol=1e-3)
    np.testing.assert_array_equal(back.change.frequency_hz, HZ)
    np.testing.assert_array_equal(back.change.time_s, SECONDS)
    assert store.evidence(HEALTHY).change is None


@pytest.mark.parametrize("verdict", ["fault", "unknown", "healthy"])
def test_every_judged_recording_shows_what_changed_in_words(tmp_path, verdict):
    around = replace(CRACK, verdict=verdict, regions=(BOX,))
    compared = replace(evidence(), change=change_map((slice(4, 8), slice(4, 10), -0.8)))
    text = text_of(write_report([(around, compared)], tmp_path / "r.html", progress=False).read_text("utf-8"))
    assert "What changed against this asset's healthy baseline" in text
    assert "power lost (6 %)" in text
    assert "never with “the healthy recording”" in text
    assert re.search(r"evidence for crack power lost \d", text)


def test_resampling_is_preparation_and_no_warning(tmp_path):
    raw = Recording(np.zeros(800), 8000.0, "m/s2", "tip", "a.wav", "00", history=("converted g to m/s2: × 9.80665",))
    notes = (*resample(raw, 4000.0).history, "The header gives no sensor.")
    page = write_report([(replace(CRACK, warnings=notes), evidence())], tmp_path / "r.html", progress=False)
    text = text_of(page.read_text("utf-8"))
    assert "How it was prepared converted g to m/s2: × 9.80665; resampled 8000 Hz to 4000 Hz" in text
    assert re.search(r"Signal quality The header gives no sensor\. (?!converted)", text)


# --- the page


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(style|script)>.*?</\1>", "", page)))


def test_regions_and_the_sum_are_said_in_words(tmp_path):
    page = write_report([(CRACK, evidence())], tmp_path / "r.html", progress=False).read_text("utf-8")
    text = text_of(page)
    assert "34 % of the evidence for crack 0.4–1.2 s, 58–66 Hz – 2nd bending mode, 62 Hz" in text
    mean = 8.0 * 15 / (16 * 24)
    assert f"= +0.5 + {mean:.1f} = +{0.5 + mean:.1f}" in text
    assert "A qualified engineer decides" in text
    assert "energy came or went" in text


def test_healthy_map_is_turned_so_that_red_speaks_for_the_fault():
    contrast = Contrast.of(HEALTHY, evidence("healthy", "crack").contrast)
    assert (contrast.red, contrast.blue) == ("crack", "healthy")
    assert contrast.sum == -evidence("healthy", "crack").contrast.logit
    unturned = Contrast.of(CRACK, evidence().contrast)
    assert (unturned.red, unturned.blue, unturned.sum) == ("crack", "healthy", evidence().contrast.logit)


def test_nothing_is_lost_and_the_urgent_comes_first(tmp_path):
    cases = [(HEALTHY, evidence("healthy", "crack")), (REFUSED, None), (CRACK, evidence())]
    page = write_report(iter(cases), tmp_path / "r.html", progress=False).read_text("utf-8")
    assert re.findall(r'data-recording-id="(\w+)"', page) == ["ab12", "cd34", "ef56"]
    summary = text_of(page[page.index("<tbody>") : page.index("</tbody>")])
    assert "refused beam 2 b.wav no samples Record it again" in summary


def test_unit_that_means_nothing_is_not_compared_with_limits(tmp_path):
    cases = [(replace(CRACK, unit="arbitrary"), evidence(unit="arbitrary"))]
    text = text_of(write_report(cases, tmp_path / "r.html", progress=False).read_text("utf-8"))
    assert "levels are not compared with any limit" in text


def test_every_field_from_outside_is_escaped(tmp_path):
    attack = '"><img src=x onerror=alert(1)>'
    d = replace(
        CRACK, asset=attack, recording=attack, channel=attack, label=attack, reason=attack, recording_id=attack,
        recorded_at=attack, model=attack, settings_digest=attack, warnings=(attack,), probabilities={attack: 1.0},
        unit=attack, regions=(replace(CRACK.regions[0], name=attack),),
    )  # fmt: skip
    cases = [(d, evidence(attack, attack, unit=attack)), (replace(REFUSED, reason=attack, remedy=attack), None)]
    page = write_report(cases, tmp_path / "r.html", title=attack, model={"name": attack, "version": attack}).read_text()
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x") > 20


def test_page_asks_nothing_of_the_network_and_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    hz, seconds, x = np.geomspace(5, 800, 256), np.linspace(0, 3, 256), rng.standard_normal(800)
    worst = Evidence(  # noise does not compress
        Spectrogram(rng.normal(-40, 12, (256, 256)), hz, seconds, "m/s2"),
        ActivationMap(rng.normal(0, 5, (256, 256)), hz, seconds, "crack", "healthy"),
        x - 1, x + 1, np.linspace(0, 850, 800), rng.normal(-50, 5, 800),
        ChangeMap(rng.uniform(-1, 1, (256, 256)), hz, seconds),
    )  # fmt: skip
    one = write_report([(CRACK, worst)], tmp_path / "1.html", progress=False).read_text("utf-8")
    three = write_report([(CRACK, worst)] * 3, tmp_path / "3.html", progress=False).read_text("utf-8")
    assert (len(three) - len(one)) / 2 <= 170 * 1024
    assert set(re.findall(r'(?:src|href)="([^#"]{5})', one)) == {"data:"}
    assert "url(" not in one
    assert "@import" not in one


def test_half_a_page_is_never_left_behind(tmp_path):
    out = tmp_path / "report.html"
    out.write_text("yesterday's")
    broken = replace(evidence(), waveform_low=np.zeros((2, 2)))
    with pytest.raises(ValueError):
        write_report([(CRACK, broken)], out, progress=False)
    assert out.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_is_not_a_page(tmp_path):
    with pytest.raises(CamvibError, match="is a folder"):
        write_report([], tmp_path)


def test_empty_batch_says_so(tmp_path):
    page = write_report([], tmp_path / "r.html").read_text("utf-8")
    assert "There are no recordings in this report" in page
    assert "accuracy not stated" in page
