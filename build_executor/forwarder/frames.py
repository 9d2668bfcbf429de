"""Where the frames of a WebSocket begin, so that a close frame can be put between two of them."""

GOING_AWAY = b"\x88\x02\x03\xe9"  # a close frame with status 1001
_EXTENDED = {126: 2, 127: 8}
_MASK = 4


class Frames:
    """Follows what a server sends after `101 Switching Protocols`."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def follow(self, data: bytes) -> None:
        """Take note of the next bytes."""
        while data:
            if self._left:
                skipped = min(self._left, len(data))
                self._left -= skipped
                data = data[skipped:]
            else:
                data = self._begin(self._head + data)

    def is_between(self) -> bool:
        """Whether the last frame has ended and no other one has begun."""
        return not self._left and not self._head

    def _begin(self, data: bytes) -> bytes:
        """Read a frame's head; what follows it."""
        length, size = _head_of(data)
        if len(data) < length:
            self._head = data
            return b""
        self._head, self._left = b"", size
        return data[length:]


def _head_of(data: bytes) -> tuple[int, int]:
    """How long the head of the frame is and, once all of it is there, its payload."""
    if len(data) < 2:  # noqa: PLR2004 - what each head has
        return 2, 0
    size = data[1] & 0x7F
    extended = _EXTENDED.get(size, 0)
    if extended:
        size = int.from_bytes(data[2 : 2 + extended], "big")
    return 2 + extended + (_MASK if data[1] & 0x80 else 0), size
