from typing import Any

import pytest

from assistant.home import colour


@pytest.mark.parametrize("name", colour.NAMES)
def test_names_survive_every_form(name: Any) -> None:
    rgb = colour.to_rgb(name)
    assert rgb is not None
    assert colour.from_rgb(*rgb) == name
    assert colour.same(colour.from_hs(*colour.to_hs(rgb)), name)
    assert colour.same(colour.from_xy(*colour.to_xy(rgb)), name)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("red", "#f80a05", True),
        ("Red", "red", True),
        ("red", "blue", False),
        ("white", "#fff4e5", True),
        ("white", "red", False),
        ("nonsense", "red", False),
    ],
)
def test_colours_are_the_same_if_people_would_say_so(a: Any, b: Any, same: Any) -> None:
    assert colour.same(a, b) is same


def test_what_has_no_name_is_written_out() -> None:
    assert colour.from_rgb(12, 200, 90) == "#0cc85a"
    assert colour.to_rgb("#0cc85a") == (12, 200, 90)
    assert colour.to_rgb("beautiful") is None
