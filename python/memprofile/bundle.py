"""What a notebook carries in one output: HTML, a picture and text, 100 kB together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from typing import Any, Protocol

from memprofile.sources import Shell
from memprofile.terminal import has_colors

OUTPUT_BYTES = 100_000
"""A notebook carries so much in every output, all forms together."""


class Drawable(Protocol):
    """What draws itself in every form."""

    def to_text(self, color: bool) -> str:
        """Text; in colour for a terminal."""

    def to_html(self) -> str:
        """A fragment that degrades by itself."""

    def to_png(self, largest: int) -> tuple[bytes, int, int]:
        """A picture of at most so many bytes, and the size to show it at."""

    def alt_text(self) -> str:
        """What the picture shows, in words."""


def bundle(
    drawn: Drawable,
    include: Container[str] | None = None,
    exclude: Container[str] | None = None,
    color: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The MIME bundle of something drawn, and the metadata of its picture."""

    def wanted(mime: str) -> bool:
        return (include is None or mime in include) and (exclude is None or mime not in exclude)

    made: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if wanted("text/plain"):
        made["text/plain"] = drawn.to_text(color)
    if wanted("text/html"):
        made["text/html"] = drawn.to_html()
    if wanted("image/png"):
        # What is left for it, as base64.
        taken = sum(len(body.encode()) for body in made.values())
        png, width, height = drawn.to_png((OUTPUT_BYTES - taken) * 3 // 4)
        alt = drawn.alt_text()
        # Bytes: IPython and the kernel encode them as base64 for the message.
        made["image/png"] = png
        picture = {"alt": alt, "width": width, "height": height, "needs_background": "light"}
        metadata = {"image/png": picture, "vscode_altText": alt}
    return made, metadata


Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Forms by MIME type, and their metadata."""


def publish(shell: Shell, forms: Callable[[Container[str], bool], Bundle]) -> None:
    """Shows something in the forms that this front end can show; in colour where it is a
    terminal.
    """
    active = shell.display_formatter.active_types
    terminal = list(active) == ["text/plain"]
    color = terminal and has_colors(sys.stdout) and str(shell.colors).lower() != "nocolor"
    shell.display_pub.publish(*forms(active, color))
