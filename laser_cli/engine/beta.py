"""The beta distribution, as far as frames are spaced by it."""

from __future__ import annotations

import math

TERMS, HALVINGS = 300, 60


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the other tail's fraction converges faster
        return 1 - beta_cdf(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction, c, d = 1.0, 1.0, 0.0
    for i in range(TERMS):
        m = i // 2
        if i == 0:
            numerator = 1.0
        elif i % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _not_zero(1 + numerator * d)
        c = _not_zero(1 + numerator / c)
        fraction *= c * d
        if i and abs(1 - c * d) < 1e-14:
            break
    return math.exp(log_front) * (fraction - 1) / a


def beta_ppf(p: float, a: float, b: float) -> float:
    """The quantile: the x in 0..1 with I_x(a, b) = p, by bisection."""
    low, high = 0.0, 1.0
    if p <= 0 or p >= 1:
        return float(p >= 1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return (low + high) / 2


def _not_zero(x: float) -> float:
    return x if abs(x) > 1e-300 else 1e-300
