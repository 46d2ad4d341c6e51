"""The one step of the build that pyproject.toml cannot say: the wheel has the script that draws pictures in a browser.

vl-convert has Vega inside and takes 84 MB, so servers do without it.
"""

from importlib.metadata import files, version
from pathlib import Path

import vl_convert
from setuptools import setup
from setuptools.command.build_py import build_py

PACKAGE = "vl-convert-python"


class BuildWithVega(build_py):
    """Builds the packages, and Vega's script where server/dashboard/assets.py looks for it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        made = Path(self.build_lib, "server", "dashboard", "made")
        made.mkdir(parents=True, exist_ok=True)
        (made / f"vega-{version(PACKAGE)}.js").write_text(vl_convert.javascript_bundle(), encoding="utf-8")
        for license_file in (file for file in files(PACKAGE) or () if "LICENSE" in file.name):
            (made / f"{license_file.name}.txt").write_text(license_file.read_text(), encoding="utf-8")


setup(cmdclass={"build_py": BuildWithVega})
