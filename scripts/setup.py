#!/usr/bin/env python3
"""Make `.venv/bin/staffetta` on a machine that has python3, make and root or sudo. Standard library only.

    setup.py run    what the program needs           (make setup, make demo)
    setup.py dev    and what checks and tests need   (make check)
    setup.py test   and a browser, and servers       (make test)
    setup.py bench  and what the bench compares with (make bench)

Three steps, each only where something is missing: system packages by apt; uv, pinned by hash, in a virtual environment
of its own (`.tools`: such machines have no pip, or one that refuses to install); `.venv` as `uv.lock` says. A stamp of
what they depend on makes the second call take no time. Proxies, certificates, indexes: the environment's, as they come.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
STAMP = VENV / ".setup-stamp"
MODES = ("run", "dev", "test", "bench")
TESTING = ("test", "bench")
OLDEST = (3, 11)

# The names under which tests/e2e/browser_hand.py looks for a browser.
BROWSERS = ("chromium", "google-chrome")
# What the Node.js inside playwright loads, and the Debian package that has it.
DRIVER_LIBRARIES = {"libatomic.so.1": "libatomic1"}

# Debian's packages from which tests start servers of their own (tests/servers), and what they start; systemd looks at the
# units (tests/architecture/test_deployment.py), and need not run.
SERVERS = {
    "rabbitmq-server": "usr/lib/rabbitmq/bin/rabbitmq-server",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
    "systemd": "usr/bin/systemd-analyze",
}

# What WeasyPrint loads by name at run time, and the Debian package that has it.
LIBRARIES = {
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libharfbuzz-subset.so.0": "libharfbuzz-subset0",
}


def main() -> int:
    """Run the steps. Returns 0, or 1 with a sentence that says what to do."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "run"
    if mode not in MODES:
        return complain(f"unknown mode {mode}: one of {', '.join(MODES)}")
    if sys.version_info < OLDEST:
        return complain(f"Python {'.'.join(map(str, OLDEST))} or later is needed; this is {sys.version.split()[0]}")
    done = STAMP.read_text().split() if STAMP.exists() else []
    if len(done) == 2 and done[1] in MODES and MODES.index(done[1]) > MODES.index(mode):
        mode = done[1]  # what was installed for the checks stays
    wanted = [fingerprint(), mode]
    if done == wanted and (VENV / "bin" / "staffetta").exists():
        return 0
    try:
        system_packages()
        if mode in TESTING and not for_tests():
            wanted[1] = "dev"  # the next call tries again
        uv = pinned_uv()
        environment(uv, mode)
    except subprocess.CalledProcessError as failed:
        return complain(f"this failed with exit code {failed.returncode}: {' '.join(map(str, failed.cmd))}")
    except SystemPackagesMissing as missing:
        return complain(str(missing))
    STAMP.write_text(" ".join(wanted))
    return 0


def complain(sentence: str) -> int:
    """Say it where a person looks."""
    print(f"setup: {sentence}", file=sys.stderr)
    return 1


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command, shown before; what it prints is shown where it fails. Raises `CalledProcessError`."""
    print("setup:", *(str(part).replace(f"{ROOT}/", "") for part in command), file=sys.stderr, flush=True)
    whole = [str(part) for part in command]
    merged = {**os.environ, **(env or {})}
    told = subprocess.run(
        whole, check=False, env=merged, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if told.returncode:
        print(told.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(told.returncode, whole)


def fingerprint() -> str:
    """What the environment depends on: lock, project file, this script, the interpreter and the folder."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}{ROOT}".encode())
    for name in ("uv.lock", "pyproject.toml", "scripts/setup.py", "scripts/uv.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


class SystemPackagesMissing(Exception):
    """Something that only the system's package manager can install."""


def system_packages() -> None:
    """Install by apt what is missing: WeasyPrint's libraries, and Debian's own part of `venv`."""
    packages = [package for library, package in LIBRARIES.items() if not loads(library)]
    if importlib.util.find_spec("ensurepip") is None and not (TOOLS / "bin" / "uv").exists():
        packages.append("python3-venv")
    if packages:
        install(packages)


def for_tests() -> bool:
    """Servers and a browser; `False` where there is no browser."""
    servers()
    return browser()


def servers() -> None:
    """Install by apt the servers that tests stop and kill, where they are missing. (`RUNLEVEL=1`: where the system heeds it,
    they are not started as services; tests start their own.)"""
    packages = [package for package, program in SERVERS.items() if not any(Path("/").glob(program))]
    if packages:
        install(packages)


def browser() -> bool:
    """Whether there is a browser of Chromium's kind (by apt where there was none) and what its driver loads. Ubuntu's
    package of that name only leads to a snap; there, and where the package does not come, the tests of the pages fail
    and say what to install."""
    release = Path("/etc/os-release")
    has_package = not (release.exists() and "ID=ubuntu" in release.read_text().split())
    packages = ["chromium"] if has_package and not any(map(shutil.which, BROWSERS)) else []
    packages += [package for library, package in DRIVER_LIBRARIES.items() if not loads(library)]
    if packages:
        with contextlib.suppress(subprocess.CalledProcessError, SystemPackagesMissing):
            install(packages)
    return any(map(shutil.which, BROWSERS)) and all(map(loads, DRIVER_LIBRARIES))


def install(packages: list[str]) -> None:
    """Install by apt, as root or with sudo."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        message = f"needs what Debian calls {names}, and knows only apt: install it with this system's package manager"
        raise SystemPackagesMissing(message)
    as_root: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise SystemPackagesMissing(f"needs the packages {names}: as root, run  apt-get install {names}")
        as_root = ["sudo", "--preserve-env=http_proxy,https_proxy,no_proxy"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    with contextlib.suppress(subprocess.CalledProcessError):  # one broken source is no reason: the install decides
        run(*apt, "update")
    run(*apt, "install", "--yes", "--no-install-recommends", *packages)


def loads(library: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def pinned_uv() -> Path:
    """uv in `.tools`, in exactly the version and with the hashes of `scripts/uv.txt`."""
    uv = TOOLS / "bin" / "uv"
    pins = ROOT / "scripts" / "uv.txt"
    stamp = TOOLS / ".pins"
    if uv.exists() and stamp.exists() and stamp.read_bytes() == pins.read_bytes():
        return uv
    run(sys.executable, "-m", "venv", "--clear", TOOLS)
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--only-binary=:all:")
    run(TOOLS / "bin" / "python", *pip, "--require-hashes", "--requirement", pins)
    stamp.write_bytes(pins.read_bytes())
    return uv


def environment(uv: Path, mode: str) -> None:
    """`.venv` as the lock says, on the interpreter that runs this; nothing is resolved anew."""
    env = {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(VENV)}
    if "SSL_CERT_FILE" not in os.environ and "PIP_CERT" in os.environ:
        env["SSL_CERT_FILE"] = os.environ["PIP_CERT"]
    groups = {"run": ("--no-default-groups",), "bench": ("--all-groups",)}.get(mode, ())
    run(uv, "sync", "--quiet", "--locked", "--extra", "all", *groups, env=env)


if __name__ == "__main__":
    sys.exit(main())
