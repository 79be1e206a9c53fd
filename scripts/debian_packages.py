"""Packages of Debian or Ubuntu unpacked into a folder: of another release, or for another processor. Needs no root.

apt finds what a package needs and checks its signatures, but knows only lists of its own in the folder; nothing of the
machine changes.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
from pathlib import Path


class NotAvailableError(Exception):
    """The machine has no such packages within reach; the text says why."""


def unpack(folder: Path, packages: list[str], suite: str, architecture: str | None = None) -> Path:
    """Unpack packages and all that they need, and return the folder that stands for the root of their files.

    Parameters
    ----------
    folder : Path
        Made anew, unless it holds the same packages already.
    packages : list of str
    suite : str
        Release that they are of, for example "bookworm".
    architecture : str, optional
        Processor that they are for: everything they need comes along. Without one they are for this machine, and what
        it has installed is left out; what it lacks is of its own release where that has it.

    Raises
    ------
    NotAvailableError
    """
    root = folder / "root"
    stamp = folder / f"complete-{hashlib.sha256(repr((packages, suite, architecture)).encode()).hexdigest()[:16]}"
    if stamp.exists():
        return root
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NotAvailableError("there is no apt-get")
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "sources", "root"):
        (folder / part).mkdir(parents=True)
    apt = ["apt-get", *_options(folder, architecture)]
    _write_sources(folder, suite, architecture)
    # A release may lack lists that the machine asks for; what counts is whether the packages are found.
    _run([*apt, "update"], check=False)
    _run([*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages])
    for archive in sorted((folder / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(root)])
    for part in ("lists", "cache"):
        shutil.rmtree(folder / part)
    stamp.touch()
    return root


def distribution() -> str:
    """Return "debian" or "ubuntu", or "" elsewhere."""
    try:
        names = platform.freedesktop_os_release()
    except OSError:
        return ""
    known = [names.get("ID", ""), *names.get("ID_LIKE", "").split()]
    return next((name for name in known if name in ("debian", "ubuntu")), "")


def _options(folder: Path, architecture: str | None) -> list[str]:
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "sources",
        # Neither the machine's locks nor descriptions are needed.
        "Debug::NoLocking": 1,
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
    }
    if architecture:
        status = folder / "status"
        status.touch()
        options |= {"APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State::Status": status}
    return [f"-o{name}={value}" for name, value in options.items()]


def _write_sources(folder: Path, suite: str, architecture: str | None) -> None:
    """Write what apt is to read: the release, from where the machine has its own packages, and, for it, its own."""
    place, key = _main_source()
    signed = f"[signed-by={key}] " if key else ""
    (folder / "sources/other.list").write_text(f"deb {signed}{place} {suite} main\n", encoding="utf-8")
    if architecture:
        return
    machine = Path("/etc/apt")
    for source in [machine / "sources.list", *sorted((machine / "sources.list.d").glob("*"))]:
        if source.suffix in (".list", ".sources"):
            shutil.copy(source, folder / "sources")


def _main_source() -> tuple[str, str]:
    """Return the address of the machine's packages, and the file of the key that signs them if one is named."""
    text = ""
    for source in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if source.exists() and source.suffix in (".list", ".sources"):
            text += source.read_text(encoding="utf-8") + "\n\n"
    name = distribution()
    found = []
    for options, place in re.findall(r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s", text, re.M):
        found.append((place, dict(option.split("=", 1) for option in options.split()).get("signed-by", "")))
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+):\s*(.*\S)", block, re.M))
        if "deb" in fields.get("Types", "").split():
            found += [(place, fields.get("Signed-By", "")) for place in fields["URIs"].split()]
    for place, key in found:
        if place.rstrip("/").endswith(f"/{name}"):
            return place, key
    raise NotAvailableError(f"/etc/apt names no source of {name or 'Debian or Ubuntu'} packages")


def _run(command: list[str], check: bool = True) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check and done.returncode:
        end = "\n".join(done.stdout.splitlines()[-8:])
        raise NotAvailableError(f"{command[0]} failed:\n{end}")
