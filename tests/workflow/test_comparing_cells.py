from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.learn.benefit import WAYS
from headstart.learn.subsets import Subset
from headstart.workflow.comparing_cells import _Pace, fill
from headstart.workflow.ways import Grounds, passes


def test_what_there_is_no_time_for_is_left_out_and_what_was_finished_is_kept(grounds: Grounds, subset: Subset) -> None:
    session = grounds.session
    grounds = replace(grounds, views=grounds.views[:1], plan=replace(grounds.plan, tried=1, steps=10))
    session.budget = 0.0
    assert fill(grounds, {0: [subset]}) == []
    session.budget = 600.0
    cells = fill(grounds, {0: [subset]})
    assert {cell.way for cell in cells} == set(WAYS)
    assert cells[0].way == "probe"  # the cheapest first
    session.budget = 0.0
    kept = fill(grounds, {0: [subset]})
    assert len(kept) == len(cells)
    for cell in cells:
        (same,) = [found for found in kept if found.way == cell.way]
        assert np.array_equal(same.predictions, cell.predictions)
        assert (same.setting, same.seconds) == (cell.setting, cell.seconds)
    # Other labels are other networks.
    turned = replace(subset, fitted=replace(subset.fitted, labels=2 - subset.fitted.labels))
    assert fill(grounds, {0: [turned]}) == []


def test_what_a_network_takes_is_learned_from_those_before(grounds: Grounds, subset: Subset) -> None:
    pace = _Pace(grounds)
    count = passes(grounds, "scratch", len(subset.whole.digests))
    assert pace.seconds("scratch", subset) == pytest.approx(1.0 + 1e-4 * count)  # as the plan says
    assert pace.seconds("finetune", subset) == pytest.approx(
        2.0 + 0.8e-4 * passes(grounds, "finetune", len(subset.whole.digests))
    )
    assert pace.seconds("probe", subset) == 0
    small = replace(subset, whole=subset.whole.some(range(10)))
    pace.learn_from("scratch", small, 5.0)
    assert pace.seconds("scratch", small) == pytest.approx(5.0)
    more = count - passes(grounds, "scratch", 10)
    assert pace.seconds("scratch", subset) == pytest.approx(5.0 + 1e-4 * more)
    pace.learn_from("scratch", subset, 0.01)
    assert pace.seconds("scratch", small) == 0.0
