"""Closed-form intervals: Wilson's for shares, Student's for means.

Quantiles are rounded to 12 significant digits before use: what different mathematics libraries answer
agrees to that, and all else here is arithmetic that IEEE 754 rounds alike everywhere.
"""

import math

from launcher.spec.result import round12

_EXACT_DEGREES = 1000
_HALVINGS = 200


def wilson(share: float, n: float, level: float) -> tuple[float, float]:
    """Return Wilson's score interval of `share` successes in `n` > 0 trials; `n` may be an effective number.

    https://doi.org/10.1080/01621459.1927.10502953
    """
    z = normal_quantile(level)
    spread = z * z / n
    centre = (share + spread / 2.0) / (1.0 + spread)
    half = z * math.sqrt(share * (1.0 - share) / n + spread / (4.0 * n)) / (1.0 + spread)
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def student(squares: float, n: int, mean: float, level: float) -> tuple[float, float]:
    """Return Student's interval of a mean (ratio) over n items from the sum of their squared residuals.

    A residual is (the item's sum - mean * the item's weight) / total weight, so that items that weigh alike
    give the textbook interval, and items measured several times count once.
    """
    half = student_quantile(level, n - 1) * math.sqrt(squares * n / (n - 1))
    return mean - half, mean + half


def normal_quantile(level: float) -> float:
    """Return z with a standard normal's `level` between -z and z, by Newton's method from the left."""
    z, tail = 0.0, 1.0 - level
    for _ in range(_HALVINGS):
        step = (math.erfc(z / math.sqrt(2.0)) - tail) / (math.sqrt(2.0 / math.pi) * math.exp(-z * z / 2.0))
        if abs(step) <= 1e-16 * z:
            break
        z += step
    return round12(z)


def student_quantile(level: float, degrees: int) -> float:
    """Return t with Student's distribution's `level` between -t and t, for `degrees` >= 1 of freedom.

    Up to 1000 degrees by bisection of the finite series, above by the expansion in 1 / degrees: Abramowitz
    and Stegun 26.7.3 to 26.7.5, https://personal.math.ubc.ca/~cbm/aands/page_948.htm
    """
    if degrees > _EXACT_DEGREES:
        return round12(_expanded(normal_quantile(level), degrees))
    low, high = 0.0, 1.0
    while _student_share(high, degrees) < level:
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if _student_share(middle, degrees) < level else (low, middle)
    return round12(high)


def _student_share(t: float, degrees: int) -> float:
    """Return the probability between -t and t."""
    cosine_squared = degrees / (degrees + t * t)
    sine = t / math.sqrt(degrees + t * t)
    odd = degrees % 2
    if degrees == 1:
        return 2.0 * math.atan(t) / math.pi
    term = math.sqrt(cosine_squared) if odd else 1.0
    total = term
    for step in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine_squared * ((step - 1) / step)
        total += term
    if odd:
        return 2.0 / math.pi * (math.atan(t / math.sqrt(degrees)) + sine * total)
    return sine * total


def _expanded(z: float, degrees: int) -> float:
    v, zz = float(degrees), z * z
    terms = (
        (zz + 1) / 4,
        (5 * zz * zz + 16 * zz + 3) / 96,
        (3 * zz**3 + 19 * zz * zz + 17 * zz - 15) / 384,
        (79 * zz**4 + 776 * zz**3 + 1482 * zz * zz - 1920 * zz - 945) / 92160,
    )
    return z * (1.0 + sum(term / v ** (power + 1) for power, term in enumerate(terms)))
