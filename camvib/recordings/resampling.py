"""A recording at another sampling rate, with the step written into its history."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from camvib.errors import SignalError
from camvib.records import Recording


def resample(recording: Recording, sampling_rate_hz: float, max_term: int = 1000) -> Recording:
    """Change the sampling rate on purpose: polyphase filter, anti-aliased, written into the history.

    Parameters
    ----------
    recording : Recording
    sampling_rate_hz : float
        The rate to reach. Above the present one no new band appears: the image stays empty there, which is noted.
    max_term : int
        Largest numerator or denominator of the ratio; the filter's length grows with it.

    Raises
    ------
    SignalError
        The ratio of the two rates is no fraction of such terms (within 1e-6), or a rate is not positive.
    """
    old = recording.sampling_rate_hz
    if not (old > 0 and sampling_rate_hz > 0 and np.isfinite(sampling_rate_hz)):
        raise SignalError(
            f"{recording.source}: cannot resample {old:g} Hz to {sampling_rate_hz:g} Hz", "Give a rate above 0"
        )
    if sampling_rate_hz == old:
        return recording
    ratio = Fraction(sampling_rate_hz / old).limit_denominator(max_term)
    if ratio.numerator > max_term or ratio == 0 or abs(float(ratio) * old / sampling_rate_hz - 1) > 1e-6:
        raise SignalError(
            f"{recording.source}: {old:g} Hz to {sampling_rate_hz:g} Hz is no ratio of integers up to {max_term}",
            f"Ask for {float(ratio) * old:.9g} Hz ({ratio}), or declare the recording's rate if it is wrong",
        )
    # Padding with the line between the ends keeps a constant offset from ringing at both edges.
    samples = resample_poly(
        np.asarray(recording.samples, np.float64), ratio.numerator, ratio.denominator, padtype="line"
    )
    step = f"resampled {old:g} Hz to {sampling_rate_hz:g} Hz ({ratio.numerator}/{ratio.denominator}, polyphase)"
    if ratio > 1:
        step += f"; nothing was measured above {old / 2:g} Hz"
    return recording.with_history(
        step, samples=samples.astype(recording.samples.dtype), sampling_rate_hz=float(sampling_rate_hz)
    )
