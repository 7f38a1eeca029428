"""What a notebook carries in one output: HTML, a picture and text, 100 kB together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from typing import Any, Protocol

from memprofile.sources import Shell
from memprofile.terminal import USUAL_WIDTH, columns, has_colors

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Forms by MIME type, and their metadata."""

_Drawn = tuple[str | None, str | None, tuple[bytes, int, int, str] | None]


class Forms(Protocol):
    """Makes a bundle of the forms that are wanted."""

    def __call__(self, include: Container[str], *, color: bool, width: int) -> Bundle:
        """With text of so many columns, in colour where it can be shown."""


def bundle(
    draw: Callable[[tuple[bool, bool, bool], int, bool], _Drawn],
    include: Container[str] | None = None,
    exclude: Container[str] | None = None,
    color: bool = False,
    width: int = USUAL_WIDTH,
) -> Bundle:
    """The MIME bundle of something that draws itself as text, HTML and PNG."""

    def wanted(mime: str) -> bool:
        return (include is None or mime in include) and (exclude is None or mime not in exclude)

    forms = (wanted("text/plain"), wanted("text/html"), wanted("image/png"))
    text, html, picture = draw(forms, width, color)
    made: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if text is not None:
        made["text/plain"] = text
    if html is not None:
        made["text/html"] = html
    if picture is not None:
        # Bytes: IPython and the kernel encode them as base64 for the message.
        made["image/png"], wide, high, alt = picture
        shown = {"alt": alt, "width": wide, "height": high, "needs_background": "light"}
        metadata = {"image/png": shown, "vscode_altText": alt}
    return made, metadata


def publish(shell: Shell, forms: Forms, put: Callable[..., None] | None = None) -> None:
    """Shows something in the forms that this front end can show: below the cell, or by ``put``."""
    active = shell.display_formatter.active_types
    terminal = list(active) == ["text/plain"]
    color = terminal and has_colors(sys.stdout) and str(shell.colors).lower() != "nocolor"
    width = columns(sys.stdout) if terminal else USUAL_WIDTH
    put = shell.display_pub.publish if put is None else put
    put(*forms(active, color=color, width=width))
