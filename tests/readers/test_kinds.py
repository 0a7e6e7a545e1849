"""Every kind of file that strangers bring is read rightly, refused rightly, or shown the way on."""

from pathlib import Path

import numpy as np
import pytest
from kinds import AMPLITUDES, FS, Answer, Kind
from kinds_binary import BINARY
from kinds_text import TEXT

from camvib import errors
from camvib.readers import describe, open_file


@pytest.mark.parametrize("kind", [*TEXT, *BINARY], ids=lambda kind: kind.name[:60])
def test_kind(tmp_path: Path, kind: Kind) -> None:
    path, answer = kind.write(tmp_path), kind.answer
    if answer.error:
        with pytest.raises(getattr(errors, answer.error), match=answer.says) as caught:
            describe(path)
        assert caught.value.remedy
        assert path.name in str(caught.value)
        return
    found = describe(path)
    rows = {row["name"]: row for row in found["channels"]}
    assert set(answer.channels) <= set(rows)
    assert {name: rows[name]["unit"] for name in answer.channels} == {
        name: unit for name, (unit, _) in answer.channels.items()
    }  # fmt: skip
    assert set(rows) == set(answer.channels) or not answer.only
    rates = [rows[name]["sampling_rate_hz"] for name in answer.channels]
    assert rates == pytest.approx([answer.hz] * len(rates), rel=1e-5)
    assert set(answer.left_out) <= {one["name"] for one in found["left_out"]}
    check_lines(path, answer)


def check_lines(path: Path, answer: Answer) -> None:
    """Compare the strongest line of each channel, counted in samples, and its level where the scale is known."""
    for channel in open_file(path).channels:
        if channel.name not in answer.channels:
            continue
        samples = np.asarray(channel.samples, float)
        assert np.isfinite(samples).all() or answer.nan
        samples = np.nan_to_num(samples - np.nanmean(samples))
        hz = answer.channels[channel.name][1]
        line = np.argmax(np.abs(np.fft.rfft(samples))) * FS / len(samples)
        assert line == pytest.approx(hz, abs=FS / len(samples))
        if answer.scale is not None:
            assert samples.std() * 2**0.5 == pytest.approx(answer.scale * AMPLITUDES[int(hz)], rel=0.02)
