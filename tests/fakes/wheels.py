"""Wheels of a few lines: packages to install without an index; and one that is source only."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    source: str,
    *,
    built: str = "1.0-py3-none-any",
    needs: str | None = None,
) -> str:
    """A wheel of one module; the line of a lock that demands exactly this file."""
    folder.mkdir(parents=True, exist_ok=True)
    version, tag = built.split("-", 1)
    wheel = folder / f"{name}-{built}.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
        record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD"), record)
    return _locked(wheel, name, version)


def make_source(folder: Path, name: str, marker: Path) -> str:
    """A package without a wheel, which creates `marker` when anybody builds it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{name}-1.0.tar.gz"
    run = f"open({str(marker)!r}, 'w').close()\n"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "backend.py": run,
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
    }
    with tarfile.open(archive, "w:gz") as packed:
        for path, text in files.items():
            about = tarfile.TarInfo(f"{name}-1.0/{path}")
            about.size = len(text)
            packed.addfile(about, io.BytesIO(text.encode()))
    return _locked(archive, name, "1.0")


def _locked(file: Path, name: str, version: str) -> str:
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
