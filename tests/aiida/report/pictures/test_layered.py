"""Graphs in layers."""

from __future__ import annotations

from aiida_icsg3d.report.pictures.layered import layers_of, place_layers


def test_layers_put_inputs_next_to_what_uses_them() -> None:
    nodes = ["data", "train", "model", "late", "sample", "rebuild"]
    edges = [("data", "train"), ("train", "model"), ("model", "sample"), ("sample", "rebuild"), ("late", "rebuild")]
    layer = layers_of(nodes, edges)
    assert layer == {"data": 0, "train": 1, "model": 2, "sample": 3, "late": 3, "rebuild": 4}


def test_placed_boxes_keep_their_distance_and_long_edges_bend_around_them() -> None:
    nodes = list("abcdef")
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("a", "e"), ("e", "c"), ("f", "d")]
    places, routes = place_layers(nodes, edges)
    assert routes["a", "d"][0] == places["a"]
    assert len(routes["a", "d"]) == 4
    points = {*places.values(), *(p for route in routes.values() for p in route)}
    for x, y in points:
        for box_x, box_y in places.values():
            if box_y == y and box_x != x:
                assert abs(box_x - x) > 0.7 - 1e-9
