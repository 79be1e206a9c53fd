"""Numbers, text and sections of the model file, every length checked before memory is taken."""

from __future__ import annotations

from eie.errors import ModelFileError
from eie.network.limits import NAME_LIMIT, check_name

Content = bytes | bytearray | memoryview


class Writer:
    """Bytes of numbers (LEB128), sections (length, bytes) and text."""

    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, what: str, value: int, limit: int) -> None:
        if not 0 <= value <= limit:
            raise ModelFileError(f"{what} is {value}; the model file takes 0 to {limit}")
        while value > 0x7F:
            self.data.append(value & 0x7F | 0x80)
            value >>= 7
        self.data.append(value)

    def section(self, content: Content) -> None:
        self.number("section", len(content), 1 << 62)
        self.data += content

    def text(self, what: str, text: str) -> None:
        check_name(text, what)
        self.section(text.encode())


class Reader:
    """What `Writer` wrote, every length checked against what is left."""

    def __init__(self, data: Content) -> None:
        self.left = memoryview(data)

    def number(self, what: str, limit: int) -> int:
        value = 0
        for i, byte in enumerate(self.left[:10]):
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                if value > limit:
                    raise ModelFileError(f"{what} is {value}; the limit is {limit}")
                self.left = self.left[i + 1 :]
                return value
        raise ModelFileError(f"ends within a number ({what})")

    def section(self, what: str) -> memoryview:
        length = self.number(f"length of {what}", len(self.left))
        if length > len(self.left):
            raise ModelFileError(f"{what} has {length} bytes, only {len(self.left)} are left")
        content, self.left = self.left[:length], self.left[length:]
        return content

    def text(self, what: str) -> str:
        content = self.section(what)
        if len(content) > NAME_LIMIT:
            raise ModelFileError(f"{what} takes {len(content)} bytes; the limit is {NAME_LIMIT}")
        return bytes(content).decode()

    def end(self, what: str) -> None:
        if len(self.left):
            raise ModelFileError(f"{len(self.left)} bytes follow the end of {what}")


def zigzag(value: int) -> int:
    """Return a signed number as an unsigned one, small if it is near 0."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    """Return the number that `zigzag` was given."""
    return -(value + 1 >> 1) if value & 1 else value >> 1
