"""Which command-line agent is run, and how: found once, checked, and then the same for every session."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent import data_home, dialects
from qpty.agent.errors import AgentNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qpty.core.dialect import Dialect

PASSED_ON: Final = (
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TZ",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""What the agent gets of our environment. Nothing else: a server's has secrets, and tools can read it."""

DEMO_DATA: Final = "qpty-demo"
"""The demo agent's directory below the data home; it never touches q's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent, ready to be started: `argv` before any option, the environment, the data home and the record.

    `kind` is `q`, `kiro-cli` or `demo`. `scratch` is a private directory for files that pass between us and the agent.
    """

    kind: str
    dialect: Dialect
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    database: Path
    scratch: Path

    def command(self, *options: str) -> list[str]:
        """Return the whole command line of a chat with these further options."""
        return [*self.argv, *self.dialect.arguments, *options]


def agent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Build the agent's environment from scratch: a few of our variables, a known terminal, UTF-8 text."""
    built = {name: environment[name] for name in PASSED_ON if environment.get(name)}
    built.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    built.setdefault("HOME", str(Path.home()))
    locale = built.get("LC_ALL") or built.get("LC_CTYPE") or built.get("LANG") or ""
    if "utf-8" not in locale.lower() and "utf8" not in locale.lower():
        built.pop("LC_ALL", None)
        built.pop("LC_CTYPE", None)
        built["LANG"] = "C.UTF-8"
    built["TERM"] = "xterm-256color"
    return built


def locate(setting: str, *, environment: Mapping[str, str], data_directory: Path) -> AgentSpec:
    """Find the agent that `setting` names and prepare its data home below `data_directory`.

    `setting` is `auto` (q, else kiro-cli, else the demo), `q`, `kiro-cli`, `demo`, or the path of a program that speaks
    q's dialect. Raises AgentNotFoundError, and the errors of `data_home.prepare`.
    """
    built = agent_environment(environment)
    if setting == "auto":
        for name in ("q", "kiro-cli"):
            found = shutil.which(name, path=built["PATH"])
            if found is not None:
                return _real(dialects.load(name), found, built, data_directory)
        return _demo(built, data_directory)
    if setting == "demo":
        return _demo(built, data_directory)
    if setting in {"q", "kiro-cli"}:
        found = shutil.which(setting, path=built["PATH"])
        if found is None:
            raise AgentNotFoundError(setting, built["PATH"].split(":"))
        return _real(dialects.load(setting), found, built, data_directory)
    program = Path(setting).expanduser()
    found = shutil.which(str(program.absolute()))
    if found is None:
        raise AgentNotFoundError(setting, [str(program.absolute())])
    name = "kiro-cli" if program.name.startswith("kiro") else "q"
    return _real(dialects.load(name), found, built, data_directory)


def _real(dialect: Dialect, program: str, environment: dict[str, str], data_directory: Path) -> AgentSpec:
    home = data_home.prepare(
        data_directory / "agents" / dialect.name,
        home=Path(environment["HOME"]),
        environment=environment,
        directory_name=dialect.data_directory,
        database_name=dialect.database,
        settings=dialect.settings,
    )
    return AgentSpec(
        kind=dialect.name,
        dialect=dialect,
        argv=(program,),
        environment={**environment, **home.environment()},
        database=home.database,
        scratch=_scratch(data_directory),
    )


def _demo(environment: dict[str, str], data_directory: Path) -> AgentSpec:
    dialect = replace(dialects.load("q"), name="demo", data_directory=DEMO_DATA)
    root = data_directory / "agents" / "demo"
    (root / DEMO_DATA).mkdir(parents=True, exist_ok=True, mode=0o700)
    program = Path(__file__).parent / "demo"
    return AgentSpec(
        kind="demo",
        dialect=dialect,
        argv=(sys.executable, "-I", "-S", str(program)),
        environment={**environment, "XDG_DATA_HOME": str(root)},
        database=root / DEMO_DATA / dialect.database,
        scratch=_scratch(data_directory),
    )


def _scratch(data_directory: Path) -> Path:
    path = data_directory / "scratch"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
