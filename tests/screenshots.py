"""Write docs/images: pages of the bad night in a real Chromium. ``make screenshots`` runs it."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orbit_site.settings")
    import django

    django.setup()

from tests.support import bad_night, database
from tests.support.bad_night import Night
from tests.support.browser import chromium, shared

IMAGES = database.PROJECT / "docs" / "images"


def _pages(night: Night) -> dict[str, tuple[str, str, int]]:
    """Return the user, the address and the width by the file's name."""
    return {
        "dashboard": ("ann", "/admin/", 1280),
        "cycle": ("ann", f"/admin/orbit/cyclerun/{night.partial}/change/", 1280),
        "dead-letters": ("ann", "/admin/orbit/deadletterdispatch/", 1280),
        "proposal": (
            "ray",
            f"/admin/advisory/strategyproposal/{night.open_proposal}/change/",
            1280,
        ),
        "phone": ("ann", "/admin/", 390),
    }


def main(folder: Path) -> None:
    """Write each page in light and in dark."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        night, variables = stack.enter_context(bad_night.serving(text="", cluster=True))
        address = f"http://127.0.0.1:{variables['PORT']}"
        stack.callback(shared.close)
        browser = stack.enter_context(chromium(address))
        for name, (user, path, width) in _pages(night).items():
            for theme in ("light", "dark"):
                console = browser.visit(user, width=width, dark=theme == "dark")
                page = console.open(path)
                page.wait_for_load_state("load")
                file = folder / f"{name}-{theme}.png"
                page.screenshot(path=file)
                page.context.close()
                print(f"{file}  {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
