"""Pictures of every view, light and dark, wide and as on a phone: `python -m tests.page.screenshots DIRECTORY [VIEW…]`.

Each is a file `view-size-scheme.png`. Those that the README shows are in `docs/images`, made by
`python -m tests.page.screenshots docs/images --readme`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tests.page.driving import chat_page
from tests.page.scenes import SCENES
from tests.server.browser import running_chromium
from tests.server.served import serving
from tests.sessions.house import demo_spec

if TYPE_CHECKING:
    from tests.page.scenes import Scene

SIZES: Final = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
README: Final = (("terminal", "desktop", "light"), ("question", "phone", "dark"))
"""View, size and scheme of what the README shows."""


async def picture(
    address: str, work: Path, scene: Scene, size: str, scheme: Literal["light", "dark"], target: Path
) -> None:
    """Bring a view about and take its picture."""
    width, height = SIZES[size]
    await asyncio.to_thread(work.mkdir)
    async with (
        serving(demo_spec(work), work) as served,
        chat_page(address, served.url, width=width, height=height) as chat,
    ):
        await chat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await scene.enter(chat)
        await chat.page.wait_for_timeout(400)  # pictures are taken of what stands still
        await chat.page.screenshot(path=target / f"{scene.name}-{size}-{scheme}.png")


async def pictures(target: Path, views: list[str], *, readme: bool) -> None:
    """Take all that are asked for."""
    wanted = [
        (scene, size, scheme)
        for scene in SCENES
        for size in SIZES
        for scheme in SCHEMES
        if ((scene.name, size, scheme) in README if readme else not views or scene.name in views)
    ]
    with tempfile.TemporaryDirectory() as work, running_chromium(Path(work) / "chromium") as address:
        for number, (scene, size, scheme) in enumerate(wanted):
            await picture(address, Path(work) / str(number), scene, size, scheme, target)
            print(f"{scene.name}-{size}-{scheme}.png")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("view", nargs="*", choices=[[], *(scene.name for scene in SCENES)])
    parser.add_argument("--readme", action="store_true", help="only those that the README shows")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(pictures(given.directory, given.view, readme=given.readme))


if __name__ == "__main__":
    main()
