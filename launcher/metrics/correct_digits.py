"""Correct digits: the log relative error of a computed number, as statistical software is judged by.

McCullough (1998), Assessing the reliability of statistical software: part I, The American Statistician 52.
"""

from decimal import Context, Decimal

MOST_DIGITS = 15
_PRECISION = 28


def correct_digits(found: float, certified: float, most: int = MOST_DIGITS) -> float:
    """Return -log10(|found - certified| / |certified|), at least 0 and at most `most`.

    Where `certified` is 0 the error counts as it is. The difference, the quotient and the logarithm are
    decimals rounded correctly to 28 digits, so no machine's mathematics library decides a digit.
    """
    context, truth = Context(prec=_PRECISION), Decimal(certified)
    error = context.subtract(Decimal(found), truth).copy_abs()
    if not error:
        return float(most)
    relative = context.divide(error, truth.copy_abs()) if truth else error
    return min(max(-float(context.log10(relative)), 0.0), float(most))
