"""One person in a store: what is remembered of them, and the versions of their memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorecall.core.files import write_bytes
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.catalog import Files
from lorecall.errors import ConfigError, MissingError
from lorecall.settings import LearnSettings
from lorecall.store import audit, forget, look, people, records, updates, versions
from lorecall.store.certificate import Certificate
from lorecall.store.choose import Choice
from lorecall.store.database import writing
from lorecall.store.difference import Answered, Difference, answered, compared
from lorecall.store.exports import archived
from lorecall.store.found import PersonLog, Rebuilt, ToForget
from lorecall.store.gate import Measured
from lorecall.store.histories import history_of
from lorecall.store.rebuilds import built_again
from lorecall.store.recipe import BasePlace, BuildSettings, Packed
from lorecall.store.records import Remembered
from lorecall.store.rows import Row, rows_of
from lorecall.store.site import Site
from lorecall.store.updates import Updated, Wanted

if TYPE_CHECKING:
    from lorecall.lm.base import LanguageModel
    from lorecall.memory.memory import StoredMemory
    from lorecall.reply.memory import Memory
    from lorecall.store.peers import Peer


class Person:
    """Someone in a store, by name; made by `Store.person`.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     ada = store.person("ada")
        ...     ada.remember("history.jsonl", user="ann")
        ...     ada.remember("history.jsonl", user="ann")  # again: nothing is added
        ...     ada.log().n_behind
        Remembered(added=24, known=0, suppressed=0)
        Remembered(added=0, known=24, suppressed=0)
        24
    """

    def __init__(self, site: Site, name: str) -> None:
        self._site, self.name = site, name

    def remember(
        self,
        source: str | Path,
        *,
        path: Files = None,
        user: str | None = None,
        redact: bool = False,
        dry_run: bool = False,
    ) -> Remembered:
        """Add what files hold of the person; what is there already is not added again.

        Args:
            source: A format's name, or the path of a file.
            path: With a name: its files.
            user: Who of those in the files; None for the only one.
            redact: Whether placeholders stand for what names someone outright.
            dry_run: Whether only to count.

        Raises:
            DataError: The files cannot be used, or the user is not in them.
            ConflictError: The person's name looks like another's.
        """
        rows = rows_of(source, path=path, user=user, redact=redact)
        if dry_run and not people.is_there(self._site, self.name):
            return Remembered(added=len(rows), known=0)
        return self.add(rows, dry_run=dry_run)

    def add(self, rows: Sequence[Row], *, dry_run: bool = False) -> Remembered:
        """Add rows that are not there yet, as `remember` does.

        Args:
            rows: What, in its order.
            dry_run: Whether only to count.
        """
        who = people.find_or_add(self._site, self.name)
        return records.add(self._site, who.uid, rows, dry_run=dry_run)

    def update(
        self,
        base: "BasePlace | LanguageModel | str | None" = None,
        *,
        settings: LearnSettings | BuildSettings | None = None,
        n_threads: int | None = None,
        if_version: int | None = None,
        reporter: Reporter | None = None,
    ) -> Updated:
        """Build a version from all records there are: one training of the design, no search.

        It becomes the head if it harms nothing: `Updated.held_back` says why it does not.

        Args:
            base: On which base: its name, its place, or one that is loaded here (the build loads it
                again); the head's, or the default one, when None.
            settings: How it is trained; as the head was, or the `laptop` preset, when None.
            n_threads: On how many threads; as the head was, or all there are, when None.
            if_version: The head that is expected.
            reporter: Who is told how far it is.

        Raises:
            MissingError: The person is not there.
            DataError: There is too little to learn from.
            ConflictError: Another works on the person, or the head is another.
            PendingError: A forgetting must be finished first.
        """
        reporter = reporter or SilentReporter()
        wanted = Wanted(
            base=None if base is None else updates.place_of(base),
            settings=settings,
            n_threads=n_threads,
            if_version=if_version,
        )
        reporter.plan(1)
        reporter.doing("building the memory")
        done = updates.update(
            self._site, self._who(), self.name, wanted=wanted, on_step=reporter.advance
        )
        reporter.finish()
        return done

    def head(self) -> int | None:
        """Return the version that answers; None where the base does.

        Raises:
            MissingError: The person is not there.
        """
        return self._who().head

    def log(self) -> PersonLog:
        """Return the versions, and how many records the head is behind.

        Raises:
            MissingError: The person is not there.
        """
        return look.log_of(self._site, self._who())

    def stored(self, n: int | None = None) -> "StoredMemory":
        """Return a version as it is stored: its weights and manifest.

        Args:
            n: Which; the head when None.

        Raises:
            MissingError: It is not there; the base answers.
            IntegrityError: It is not what was published.
        """
        from lorecall.store.measure import memory_of  # noqa: PLC0415

        return memory_of(self._read(n)[1])

    def check(self, n: int | None = None) -> tuple[int, str]:
        """Decrypt a version and compute its digest again; return its number and that.

        Args:
            n: Which; the head when None.

        Raises:
            MissingError: It is not there.
            IntegrityError: It is not what was published.
        """
        n, packed = self._read(n)
        return n, packed.digest

    def measured(self, n: int | None = None) -> Measured | None:
        """Return what the gate measured of a version; None where nothing was.

        Args:
            n: Which; the head when None.
        """
        return Measured.of(self._read(n)[1])

    def beside(
        self, n: int | None = None, *, n_others: int = 0, seed: int = 0
    ) -> "tuple[Peer, list[Peer]]":
        """Return a version with its records, and other people's heads on the same base.

        Args:
            n: Which; the head when None.
            n_others: How many other people.
            seed: Seed of the draw.
        """
        from lorecall.store.peers import drawn, peer_of  # noqa: PLC0415

        n, _ = self._read(n)
        one = peer_of(self._site, self._who(), self.name, n)
        return one, drawn(self._site, self._who(), one.memory, n=n_others, seed=seed)

    def write_page(self, path: str | Path, *, n_others: int = 0) -> None:
        """Write a page about the person: versions, what was forgotten, certificates to be printed.

        Args:
            path: The HTML file; it is replaced whole, or left as it was.
            n_others: How many other people's memories are read, to see what is the person's own.
        """
        from lorecall.store.page import write_person_page  # noqa: PLC0415

        found = history_of(self._site, self._who(), self.name, n_others=n_others)
        write_person_page(found, Path(path))

    def memory(self, n: int | None = None, *, base: "LanguageModel | None" = None) -> "Memory":
        """Return a version, ready to reply.

        Args:
            n: Which; the head when None.
            base: The base it was built on; loaded by its name when None.
        """
        from lorecall.reply.memory import Memory  # noqa: PLC0415

        return Memory(self.stored(n), base, path=Path(self.name))

    def rollback(self, n: int) -> int:
        """Make an earlier version's content the head again, as a new version.

        Args:
            n: Which.

        Returns:
            The head's number from now on.

        Raises:
            MissingError: There is no such version, or it held what was forgotten.
        """
        return updates.roll_back(self._site, self._who(), n)

    def find(self, choice: Choice) -> ToForget:
        """Return what would be forgotten, and what else says the same.

        Args:
            choice: Which records.
        """
        return look.would_forget(self._site, self._who(), choice)

    def forget(
        self,
        *,
        records: Sequence[str] | None = None,
        conversation: str | None = None,
        before: float | str | None = None,
        like: str | None = None,
        everything: bool = False,
        suppress: bool = False,
        reporter: Reporter | None = None,
    ) -> Certificate:
        """Forget records: out of the store, and out of every version that was built from them.

        Args:
            records: Their names, or the starts of them.
            conversation: Those of one conversation.
            before: Those of before a time.
            like: Those that hold a text.
            everything: All, and the person with them.
            suppress: Whether marks (HMACs of texts) keep them from being added again.
            reporter: Who is told how far it is.

        Raises:
            TypeError: Nothing is chosen, or in several ways.
            ConfigError: All is to be suppressed: nothing of the person would be left to do it by.
            MissingError: The person is not there, or no record fits.
            PendingError: It is forgotten, but the rest could not be built again yet.
        """
        choice = Choice(
            records=records,
            conversation=conversation,
            before=before,
            like=like,
            everything=everything,
        )
        if everything and suppress:
            raise ConfigError(
                "what keeps records out goes with the person",
                expected="some records, or all without suppressing them",
                got="both",
                next_step="Forget all, or forget the records by a time and suppress those.",
            )
        reporter = reporter or SilentReporter()
        reporter.plan(1)
        reporter.doing("forgetting")
        made = forget.forget(
            self._site,
            self._who(),
            self.name,
            asked=choice.kind,
            chosen=choice.of,
            for_good=suppress,
            reporter=reporter,
        )
        reporter.finish()
        return made

    def resume(self, *, reporter: Reporter | None = None) -> Certificate | None:
        """Finish a forgetting that was begun; nothing where there is none.

        Args:
            reporter: Who is told how far it is.
        """
        silent = SilentReporter()
        return forget.resume(self._site, self._who(), self.name, reporter=reporter or silent)

    def rebuild(self, n: int | None = None) -> Rebuilt:
        """Build a version again from its own records, and compare; nothing is published.

        Args:
            n: Which; the head when None.
        """
        who = self._who()
        n, packed = self._read(n)
        return built_again(self._site, who, self.name, n=n, packed=packed)

    def diff(self, a: int, b: int, *, answers: bool = False) -> Difference:
        """Compare two versions: records, recipes, what was measured, and what they answer.

        Args:
            a: The one.
            b: The other.
            answers: Whether both answer the person's own validation queries; that loads the base.

        Raises:
            MissingError: One is not there.
        """
        both = self._read(a)[1], self._read(b)[1]
        who = self._who()
        held = look.held_by(self._site, who, a), look.held_by(self._site, who, b)
        found: tuple[Answered, ...] = ()
        if answers:
            from lorecall.store.measure import memory_of  # noqa: PLC0415

            found = answered((memory_of(both[0]), memory_of(both[1])), held[1], user=self.name)
        return compared(both, held, found)

    def export(self, out: str | Path, n: int | None = None) -> None:
        """Write the records and a version to a ZIP file that anyone can read: JSONL, JSON, weights.

        The audit log says that it was given away; a certificate names it when it must be recalled.

        Args:
            out: The file.
            n: Which version; the head, if there is one, when None.
        """
        who = self._who()
        with self._site.engine.connect() as connection:
            found = records.records_of(self._site, connection, who.uid)
        n = who.head if n is None else n
        packed = None if n is None else self._read(n)[1]
        content = archived(self.name, found, packed)
        self._note_export(who.uid, n)
        write_bytes(Path(out), content)
        Path(out).chmod(0o600)

    def export_peft(self, folder: str | Path, n: int | None = None) -> None:
        """Write a version as a PEFT adapter.

        Args:
            folder: Where.
            n: Which; the head when None.
        """
        from lorecall.memory.peft import export_peft  # noqa: PLC0415

        stored = self.stored(n)
        who = self._who()
        self._note_export(who.uid, who.head if n is None else n)
        export_peft(stored, Path(folder))

    def _who(self) -> people.Known:
        return people.find(self._site, self.name)

    def _read(self, n: int | None) -> tuple[int, Packed]:
        who = self._who()
        n = who.head if n is None else n
        if n is None:
            raise MissingError(
                "a memory must be there to be read",
                expected=f"a version of {self.name!r}",
                got="none: it was never built, or is withdrawn while something is forgotten",
                next_step="Run `lorecall update PERSON`; until then the base answers.",
            )
        with self._site.engine.connect() as connection:
            return n, versions.read(self._site, connection, who.uid, n)

    def _note_export(self, person: str, n: int | None) -> None:
        with writing(self._site.engine) as connection:
            audit.append(connection, person=person, action="exported", details={"n": n})
