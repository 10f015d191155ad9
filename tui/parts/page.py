"""A box of lines that is read page by page, and knows whether its end was ever in view.

It says in its lower border when there is more. There is no scroll bar and nothing moves
by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.widget import Widget

from tui.parts.lines import Line, wrap_all

if TYPE_CHECKING:
    from textual.app import RenderResult


class Page(Widget):
    """Lines, wrapped to the box's width, the window on them moved by turn()."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._rows: tuple[Content, ...] = ()
        self._top = 0
        self._seen = 0
        self._known: tuple[Line, ...] = ()  # what was in view last, all of it

    def show(self, lines: tuple[Line, ...]) -> None:
        """Put other lines in the box, from their beginning; the same lines stay where they are.

        Lines that were read whole are read still when they come back below a refused answer.
        """
        if lines != self._lines:
            if self._rows and self._seen >= len(self._rows):
                self._known = self._lines
            self._lines = lines
            self._top = self._seen = 0
            self._arrange()

    @property
    def read(self) -> bool:
        """Tell whether the last line is in view, or was when a person pressed a key."""
        return self._lines == self._known or max(self._seen, self._end) >= len(self._rows)

    def looked_at(self) -> None:
        """Remember that what is drawn now is in view: a person just pressed a key."""
        self._seen = max(self._seen, self._end)

    @property
    def _end(self) -> int:
        return self._top + self.content_size.height

    @property
    def at_end(self) -> bool:
        """Tell whether the last line is in view."""
        return self._end >= len(self._rows)

    @property
    def at_start(self) -> bool:
        """Tell whether the first line is in view."""
        return self._top == 0

    def turn(self, pages: int) -> None:
        """Go `pages` pages on (or back, if negative), one row of the old page kept in view."""
        self.looked_at()
        height = max(self.content_size.height, 1)
        last = max(0, len(self._rows) - height)
        self._top = min(max(0, self._top + pages * max(height - 1, 1)), last)
        self.looked_at()
        self._arrange()

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap to the new width."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.content_size
        if not width or not height:
            return
        self._rows = wrap_all(self._lines, width)
        self._top = min(self._top, max(0, len(self._rows) - height))
        end = min(self._top + height, len(self._rows))
        more = len(self._rows) - end
        if more:
            self.border_subtitle = f" PageDown: {more} more line{'s' if more > 1 else ''} "
        else:
            self.border_subtitle = " PageUp: the lines before " if self._top else ""
        self.refresh()

    def render(self) -> RenderResult:
        """Draw the rows in the window."""
        return Content("\n").join(self._rows[self._top : self._top + self.content_size.height])
