"""What a type checker tells a user's script about the public names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import skobd

pytest.importorskip("mypy")


def test_public_names_have_types(tmp_path):
    """Without ``py.typed``, or with an import that mypy cannot follow, each would be Any."""
    script = tmp_path / "script.py"
    script.write_text(
        "import skobd\n" + "".join(f"reveal_type(skobd.{name})\n" for name in skobd.__all__)
    )
    options = ["--config-file=", f"--cache-dir={tmp_path}", "--ignore-missing-imports"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--follow-imports=silent", str(script)],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(Path(skobd.__file__).parents[1])},
        cwd=tmp_path,
    )
    types = re.findall(r'Revealed type is "(.*)"', checked.stdout)
    assert len(types) == len(skobd.__all__), checked.stdout + checked.stderr
    assert "Any" not in types
