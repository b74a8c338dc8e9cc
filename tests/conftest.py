"""Which tests may run beside each other, where several workers run them; and nothing by chance."""

from __future__ import annotations

import hypothesis
import pytest

# The same examples each time, however long one takes on a busy machine. To look for others:
# pytest --hypothesis-profile default
hypothesis.settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file share a worker, and with it what they set up; so do all in real time, which
    would miss their beats beside each other.
    """
    for item in items:
        in_real_time = item.get_closest_marker("flaky") is not None
        group = "real time" if in_real_time else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
