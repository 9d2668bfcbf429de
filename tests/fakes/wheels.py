"""Wheels of a few lines: packages to install without an index."""

import hashlib
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path, name: str, source: str, *, tag: str = "py3-none-any", version: str = "1.0"
) -> str:
    """A wheel of one module; the line of a lock that demands exactly this file."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
        record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD"), record)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
