"""No library that we load may tell anybody about this home."""

import os
import subprocess
import sys
from pathlib import Path


def test_onnxruntime_keeps_no_device_id_and_nothing_to_send(tmp_path: Path) -> None:
    """Left to itself it gathers in ~/.cache what it then sends to its maker, from its import on."""
    silenced = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")  # it heeds these itself
    environment = {name: value for name, value in os.environ.items() if name not in silenced}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        environment.pop(name, None)
    subprocess.run(
        [sys.executable, "-c", "import assistant.audio.vad, onnxruntime"],
        env={**environment, "HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    assert list(tmp_path.rglob("*")) == []
