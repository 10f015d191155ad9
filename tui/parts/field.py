"""Where people type: a line of text, and a PIN that is never a str and never shown.

Enter confirms nothing: it only asks for the next field. A field that is not armed drops
every key, so that what was typed ahead never answers a dangerous question. The terminal's
cursor follows the focused field, for Braille lines and screen readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.geometry import Offset, Size
from textual.message import Message
from textual.widget import Widget

from ceremony.pin_length import MOST_PIN
from tui.parts.lines import BUDGET

if TYPE_CHECKING:
    from textual.app import RenderResult

MOST_CHARACTERS = 500
MOST_ROWS = 4
MOST_WORDS = 512  # bytes of a share: 33 words of at most 8 letters
STARS = "*" * 8
SPACE = 0x20


class Entry(Widget, can_focus=True):
    """What both fields share: arming, the cursor, and what Enter does."""

    class Entered(Message):
        """Enter was pressed."""

    class Touched(Message):
        """Something was typed; old refusals may go."""

    class Unshowable(Message):
        """A character was typed that the console cannot show, so it was not taken."""

    class Strange(Message):
        """A character was typed that begins none of the few words this field takes."""

    armed = True

    def on_key(self, event: events.Key) -> None:
        """Take a key; keys with a meaning elsewhere pass on."""
        typed = event.is_printable and event.character is not None
        if not self.armed:
            if typed or event.key in ("enter", "backspace"):
                event.stop()
            return
        if event.key == "enter":
            event.stop()
            self.post_message(self.Entered())
            return
        if typed and event.character is not None and not self.takes(event.character):
            event.stop()  # nothing is drawn anew: of a PIN the keys could be counted
            self.post_message(self.Strange())
            return
        if typed and event.character is not None:
            self.post_message(self.Touched())
            self.type(event.character)
        elif self.edit(event.key):
            self.post_message(self.Touched())
        else:
            return
        event.stop()
        event.prevent_default()
        self.redraw()

    def redraw(self) -> None:
        """Draw the field anew after a key."""
        self.refresh(layout=True)

    def on_hide(self, event: events.Hide) -> None:
        """Keep the focus if the field is shown again by now; Textual would blur it late."""
        if all(node.display for node in self.ancestors_with_self):
            event.prevent_default()

    def takes(self, character: str) -> bool:  # noqa: ARG002 - what a field of few words looks at
        """Tell whether the character may stand here."""
        return True

    def type(self, character: str) -> None:
        """Take one printable character."""
        raise NotImplementedError

    def edit(self, key: str) -> bool:
        """Do what an editing key means; False if the key means nothing here."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget what was typed."""
        raise NotImplementedError

    def place_cursor(self, column: int, row: int) -> None:
        """Put the terminal's cursor on this field's column and row, if it has the focus."""
        if self.has_focus:
            region = self.content_region
            self.app.cursor_position = Offset(region.x + column, region.y + row)


class Field(Entry):
    """One line of text, folded over a few rows."""

    def __init__(self, *, id: str, rows: int = MOST_ROWS, rule: str = " ") -> None:  # noqa: A002 - Textual's name
        """`rule` fills the rows, so that a field without a border is seen without colours."""
        super().__init__(id=id)
        self._rows = rows
        self._rule = rule
        self.only: tuple[str, ...] = ()  # the words that may stand here; none: any text
        self._text = ""
        self._place = 0

    @property
    def text(self) -> str:
        """Return what was typed."""
        return self._text

    def fill(self, text: str) -> None:
        """Put `text` in the field, the cursor behind it."""
        self._text = text
        self._place = len(text)
        self.refresh(layout=True)

    def clear(self) -> None:
        """Forget what was typed."""
        self.fill("")

    def type(self, character: str) -> None:
        """Insert one character at the cursor."""
        if character not in BUDGET:
            self.post_message(self.Unshowable())
        elif len(self._text) < MOST_CHARACTERS:
            self._text = self._with(character)
            self._place += 1

    def takes(self, character: str) -> bool:
        """Tell whether a word that may stand here goes on like this; a PIN does not."""
        return not self.only or any(w.startswith(self._with(character)) for w in self.only)

    def _with(self, character: str) -> str:
        return self._text[: self._place] + character + self._text[self._place :]

    def edit(self, key: str) -> bool:
        """Move or delete, as the keys say."""
        text, place = self._text, self._place
        match key:
            case "backspace" | "ctrl+h":
                self._text, self._place = text[: max(place - 1, 0)] + text[place:], place - 1
            case "delete":
                self._text = text[:place] + text[place + 1 :]
            case "left" | "right":
                self._place += 1 if key == "right" else -1
            case "home" | "end":
                self._place = 0 if key == "home" else len(text)
            case "ctrl+u":
                self._text, self._place = text[place:], 0
            case _:
                return False
        self._place = min(max(self._place, 0), len(self._text))
        return True

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's signature
        """Return the rows that the text takes at this width."""
        return min(len(self._text) // max(width, 1) + 1, self._rows)

    def render(self) -> RenderResult:
        """Draw the text and, with the focus, the cursor as a reversed cell."""
        width = max(self.content_size.width, 1)
        row, column = divmod(self._place, width)
        first = max(0, row - self._rows + 1)
        self.place_cursor(column, row - first)
        start, end = first * width, (first + self._rows) * width
        taken = max(len(self._text) + 1, (row + 1) * width if self._rule.strip() else 0)
        content = Content(self._text.ljust(taken, self._rule)[start:end])
        if self.has_focus:
            at = self._place - start
            content = content.stylize("reverse", at, at + 1)
        rows = [content[i : i + width] for i in range(0, len(content), width)]
        return Content("\n").join(rows)


class PinField(Entry):
    """A PIN: bytes in one buffer that is wiped, shown as a fixed row of stars or nothing.

    Where it takes the `words` of a share their number is shown as well: every share has as
    many, and a person who types blind has to know which word is next.
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._bytes = bytearray(MOST_WORDS)
        self._length = 0
        self.too_long = False
        self.words = False
        self._drawn = ""

    @property
    def _shown(self) -> str:
        """Return what is seen of the PIN: the same stars for any."""
        if self.empty:
            return ""
        return f"{STARS} word {self._count}" if self.words else STARS

    def redraw(self) -> None:
        """Draw only what looks otherwise: a recording of the terminal would count the keys."""
        if self._shown != self._drawn:
            self.refresh(layout=True)

    @property
    def empty(self) -> bool:
        """Tell whether nothing was typed."""
        return self._length == 0

    def take(self) -> bytearray:
        """Hand the PIN over in a buffer of its own, and wipe this one."""
        pin = self._bytes[: self._length]
        self.clear()
        return pin

    def clear(self) -> None:
        """Wipe the buffer."""
        self._bytes[:] = bytes(MOST_WORDS)
        self._length = 0
        self.too_long = False
        self.refresh()

    def type(self, character: str) -> None:
        """Append one character as UTF-8."""
        for byte in character.encode("utf-8"):
            if self._length == (MOST_WORDS if self.words else MOST_PIN):
                self.too_long = True
                return
            self._bytes[self._length] = byte
            self._length += 1

    def edit(self, key: str) -> bool:
        """Clear all of it, or the last word: one character less would tell how many there are."""
        if key not in ("backspace", "ctrl+h", "delete", "ctrl+u"):
            return False
        if self.words and key != "ctrl+u":
            self._clear_word()
        else:
            self.clear()
        return True

    def _clear_word(self) -> None:
        """Wipe the last word and the spaces behind it."""
        for space in (True, False):
            while self._length and (self._bytes[self._length - 1] == SPACE) is space:
                self._length -= 1
                self._bytes[self._length] = 0
        self.too_long = False

    @property
    def _count(self) -> int:
        """Return how many words were begun."""
        before = SPACE
        count = 0
        for byte in memoryview(self._bytes)[: self._length]:
            count += byte != SPACE and before == SPACE
            before = byte
        return count

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's signature
        """Return one row."""
        return 1

    def render(self) -> RenderResult:
        """Draw the same stars for any PIN."""
        shown = self._drawn = self._shown
        self.place_cursor(len(shown), 0)
        cursor = Content.styled(" ", "reverse") if self.has_focus else Content("")
        return Content(shown) + cursor
