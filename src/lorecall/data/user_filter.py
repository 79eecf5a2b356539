"""The events of the wanted users, out of everything that goes by."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from lorecall.data.events import About, Dropped, Event, Reply, Said
from lorecall.records import Turn


class UserFilter:
    """Keeps the events of some users, and counts the drops that may have been theirs.

    Args:
        wants: Whether a user's events are kept, by id.
        room: How many events are kept at most; None for all. Beyond it nothing is kept any more.
        everyones_drops: Whether the drops of others count too, beside those of nobody known.
    """

    def __init__(
        self,
        wants: Callable[[str], bool],
        *,
        room: int | None = None,
        everyones_drops: bool = False,
    ) -> None:
        self._wants = wants
        self._room = room
        self._everyones_drops = everyones_drops
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._places: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._about: dict[str, str] = {}
        self._conversations: set[str] = set()
        self._n = 0
        self.lost: Counter[str] = Counter()
        self.overflowed = False

    def add(self, event: Event) -> None:
        """Keep, count or forget an event."""
        user = event.user
        if user is not None and self._wants(user):
            self._keep(user, event)
        elif isinstance(event, Dropped):
            self.lost[event.reason] += self._everyones_drops or user is None
        elif isinstance(event, About) and event.conversation in self._conversations:
            self._about[event.conversation] = event.text

    def join(self, users: Sequence[str]) -> None:
        """Make several users one, called as the first, in the order of the file.

        What they answered each other is no reply.
        """
        if len(users) > 1:
            of_each = (zip(self._places[user], self._events[user], strict=True) for user in users)
            placed = sorted((each for found in of_each for each in found), key=itemgetter(0))
            self._events[users[0]] = [_of_one(event, users) for _, event in placed]

    def events_of(self, user: str) -> Iterator[Event]:
        """Return a user's events in the order of the file.

        A reply with nothing before it is preceded by what its conversation is about.
        """
        for event in self._events.get(user, ()):
            about = self._about.get(event.conversation) if isinstance(event, Reply) else None
            if about and isinstance(event, Reply) and event.earlier == ():
                yield event._replace(earlier=(Turn(by_author=False, text=about),))
            else:
                yield event

    def _keep(self, user: str, event: Event) -> None:
        self._n += 1
        if self._room is not None and self._n > self._room:
            self.overflowed = True
            self._events.clear()
            self._places.clear()
            return
        self._events[user].append(event)
        self._places[user].append(self._n)
        if isinstance(event, Reply):
            self._conversations.add(event.conversation)


def _of_one(event: Event, users: Sequence[str]) -> Event:
    """Return an event of one of several users as the first one's."""
    if isinstance(event, About):
        return event
    if isinstance(event, Reply) and event.partner in users:
        event = Said(users[0], event.conversation, event.response, event.time, event.started)
    return event._replace(user=users[0])
