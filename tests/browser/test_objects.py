"""What a frame holds, and what keeps itself alive, as a browser lays it out."""

import gc

import memprofile
import numpy as np
import pandas as pd
import pytest
from memprofile import looks


class Node:
    """An object that refers to others."""


def frame_report():
    df = pd.DataFrame({"city": ["Paris", "Berlin"] * 5000, "price": np.arange(10_000.0)})
    for number in range(15):
        df[f"column_{number}"] = df["price"] + number
    df["a_long_name_that_somebody_has_chosen_for_a_column"] = 1
    report = memprofile.inspect_frame(df)
    assert report.spare_blocks == 15
    assert "fragmented into 15 blocks" in report.to_html()
    return report.to_html()


def garbage():
    was_on = gc.isenabled()
    gc.disable()
    try:
        for many in (2, 20):
            nodes = [Node() for _ in range(many)]
            for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
                one.an_attribute_with_a_long_name = other
        del nodes, one, other
        return looks._garbage(memprofile.heap(), 5).to_html()
    finally:
        if was_on:
            gc.enable()


@pytest.mark.parametrize("make", [frame_report, garbage])
def test_tables_and_pictures_fit_and_can_be_read(page, accessible, labels_are_readable, make):
    page.set_viewport_size({"width": 700, "height": 900})
    html = f"<main><h1>A notebook</h1>{make()}</main>"
    page.set_content(f"<html lang='en'><title>Objects</title><body>{html}</body></html>")
    card = page.locator("div.memprofile")
    assert labels_are_readable(card)
    for closed in card.locator("details").all():
        closed.evaluate("details => { details.open = true }")
    accessible(page, ".memprofile")
    for table in card.locator("table").all():
        box = table.bounding_box()
        assert box["width"] <= 700, box
        rows = table.locator("tr").all()
        # No cell is squeezed to a letter's width, which would make its row a tower.
        assert max(row.bounding_box()["height"] for row in rows) <= 120
