"""What each sample network must reach on held-out scenes: a little under what the first training reached.

Empty until networks are worth keeping: the tests of floors and of planted mistakes skip until then, and say so.

A network that falls short is not put in its place, the model cards show the floors, and the tests hold what is in the
repository to them.
"""

from __future__ import annotations

from collections.abc import Mapping

FLOORS: Mapping[str, Mapping[str, float]] = {}
