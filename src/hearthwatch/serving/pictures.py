"""Pictures that several requests are about at the same time: decoded once for all of them.

Whoever enriches a picture asks five models about it at once, each in a request of its own with the same bytes. Those
that are answered at the same time share one `Picture`. It is kept by nobody but the requests: when the last of them
is answered, it is gone.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from hearthwatch.vision.header import Limits
from hearthwatch.vision.picture import Picture

#: Bytes of a picture's end that it is looked for by: the end of a JPEG is that of its own noise, and it costs nothing,
#: where a digest of 10 MiB would hold the event loop for milliseconds. What is found is compared as a whole.
_TAIL_BYTES = 256


class SharedPictures:
    """The pictures that requests of one process are about now. One event loop at a time may use it."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[int, bytes, Limits], Picture] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, data: bytes, limits: Limits) -> Picture:
        """The picture of these bytes: that of another request where there is one, else a new one.

        Args:
            data: an encoded picture.
            limits: of the request; pictures under other limits are not shared.
        """
        key = (len(data), data[-_TAIL_BYTES:], limits)
        held = self._held.get(key)
        if held is not None and held.data == data:
            return held
        picture = Picture(data, limits)
        self._held.setdefault(key, picture)
        return picture
