"""Draws in pieces are the draws of whole blocks, number by number."""

import numpy as np
import pytest

from launcher.metrics import draws as drawing
from launcher.metrics.draws import draws


@pytest.mark.parametrize("counts", [[3, 4], [1] * 40, [2, 1] * 30, [200, 100]])
def test_pieces_draw_what_blocks_draw(counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(draws(counts, 50, 2)))
    monkeypatch.setattr(drawing, "_MANY_ITEMS", 1)
    monkeypatch.setattr(drawing, "_PIECE", 7)
    pieces = np.concatenate(list(draws(counts, 50, 2)))
    assert pieces.shape == (50, len(counts))
    assert (pieces == whole).all()
    assert (pieces.sum(axis=1) == sum(counts)).all()
