"""A clip is heard as it was recorded."""

import base64

import numpy as np

from camvib.report.sound import clip, decode, encode


def test_four_bits_keep_a_tone_and_its_noise():
    t = np.arange(4096) / 4096
    x = 0.6 * np.sin(2 * np.pi * 75 * t) + 0.2 * np.sin(2 * np.pi * 610 * t)
    x += 0.05 * np.random.default_rng(0).standard_normal(len(t))
    back = decode(encode(x), len(x))
    assert 10 * np.log10((x**2).mean() / ((x - back) ** 2).mean()) > 15


def test_both_clips_at_one_scale_keep_their_ratio():
    x = np.sin(2 * np.pi * 100 * np.arange(8192) / 4096)
    loud, quiet = clip(x, 4096.0, 1.0), clip(0.1 * x, 4096.0, 1.0)
    heard = [np.abs(decode(base64.b64decode(c.code), c.n)[200:]).max() for c in (loud, quiet)]
    assert 8 < heard[0] / heard[1] < 12


def test_a_fast_recording_fits_the_page_and_a_slow_one_is_sped_up():
    fast, slow = clip(np.random.default_rng(0).standard_normal(51200), 51200.0), clip(np.zeros(500), 500.0)
    assert fast.rate_hz == 4096.0
    assert len(fast.code) < 3000
    assert slow.speed == 16.0
    assert slow.n == 500
