"""One works on a person at a time: a lease in the database, by its clock, with a token.

No lock is held while a memory is built. Who publishes must still have the token; who slept past the
lease finds that another has taken over, and is refused.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from sqlalchemy import Connection, Engine, delete, insert, select, update

from lorecall.core.processes import is_running, machine_id
from lorecall.errors import ConflictError, PendingError
from lorecall.store.database import clock, lock_person, writing
from lorecall.store.keyring.keys import new_uid
from lorecall.store.schema import job

LEASE_S = 120
_RENEW_S = 10.0
UPDATE, FORGET = "update", "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to change a person's versions.

    Args:
        engine: The database.
        person: Whose.
        token: What no other lease has.
        pending: What a forgetting that did not end left to be done; JSON.
    """

    engine: Engine
    person: str
    token: str
    pending: str | None = None

    def check(self, connection: Connection) -> None:
        """Refuse to go on without the lease.

        Raises:
            ConflictError: Another has taken over.
        """
        lock_person(connection, self.person)
        if connection.execute(select(job.c.token).where(*self._mine())).first() is None:
            raise ConflictError(
                "one works on a person at a time",
                expected="to hold the lease to the end",
                got="another who took over in between",
                next_step="Nothing was changed. Look at the log, and give the command again.",
            )

    def end(self, connection: Connection) -> None:
        """End the lease, with whatever it left to be done."""
        connection.execute(delete(job).where(*self._mine()))

    def release(self) -> None:
        """End the lease; what a forgetting left to be done stays."""
        with writing(self.engine) as connection:
            connection.execute(delete(job).where(*self._mine(), job.c.payload.is_(None)))
            connection.execute(update(job).where(*self._mine()).values(until=0))

    @contextmanager
    def kept(self) -> Generator[Event]:
        """Renew the lease while a block runs; the event is set when another has taken over."""
        lost, over = Event(), Event()

        def renew() -> None:
            while not over.wait(_RENEW_S):
                with writing(self.engine) as connection:
                    until = clock(connection) + LEASE_S
                    done = connection.execute(update(job).where(*self._mine()).values(until=until))
                if not done.rowcount:
                    lost.set()
                    return

        thread = Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            over.set()
            thread.join()

    def _mine(self):  # noqa: ANN202 - two conditions
        return (job.c.person == self.person, job.c.token == self.token)


def claim(engine: Engine, person: str, kind: str) -> Lease:
    """Take the lease on a person.

    A forgetting takes it from an update, which is then refused; nobody waits.

    Raises:
        ConflictError: Another works on the person.
        PendingError: A forgetting must be finished first.
    """
    worker = json.dumps([machine_id(), os.getpid()])
    token = new_uid()
    with writing(engine) as connection:
        lock_person(connection, person)
        time = clock(connection)
        held = connection.execute(select(job).where(job.c.person == person)).first()
        if held is not None and not (kind == FORGET and held.kind == UPDATE):
            if held.until > time and _at_work(held.worker):
                raise _at_it(held.kind)
            if held.payload is not None and kind != FORGET:
                raise PendingError(
                    "a forgetting that was begun must be finished first",
                    expected="nothing left to be done",
                    got="one that did not come to its end",
                    next_step="Run `lorecall forget PERSON --resume`.",
                )
        values = {"kind": kind, "token": token, "until": time + LEASE_S, "worker": worker}
        if held is None:
            connection.execute(insert(job).values(person=person, **values))
        else:
            connection.execute(update(job).where(job.c.person == person).values(**values))
    return Lease(engine=engine, person=person, token=token, pending=held.payload if held else None)


def _at_work(worker: str) -> bool:
    """Whether a worker may still be: one of this machine is looked for, another is believed."""
    machine, process = json.loads(worker)
    return machine != machine_id() or is_running(int(process))


def _at_it(kind: str) -> ConflictError:
    return ConflictError(
        "one works on a person at a time",
        expected="nobody at work on them",
        got=f"a process that is at its {kind}",
        next_step="Wait for it, and give the command again.",
    )
