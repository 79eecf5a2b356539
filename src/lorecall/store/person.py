"""One person in a store: what is remembered of them, and the versions of their memory."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from lorecall.core.files import write_bytes
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.catalog import Files
from lorecall.errors import InputError, MissingError
from lorecall.settings import LearnSettings
from lorecall.store import audit, forget, people, records, updates, versions
from lorecall.store.builder import request_again
from lorecall.store.certificate import Certificate
from lorecall.store.choose import Choice, alike
from lorecall.store.database import writing
from lorecall.store.found import Outcome, PersonLog, Rebuilt, ToForget
from lorecall.store.recipe import BasePlace, Packed
from lorecall.store.records import Remembered
from lorecall.store.rows import rows_of
from lorecall.store.schema import certificate as certificate_table
from lorecall.store.site import Site
from lorecall.store.updates import Updated, Wanted

if TYPE_CHECKING:
    from lorecall.lm.base import LanguageModel
    from lorecall.memory.memory import StoredMemory
    from lorecall.reply.memory import Memory


class Person:
    """Someone in a store, by name; made by `Store.person`.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     ada = store.person("ada")
        ...     ada.remember("history.jsonl", user="ann")
        ...     ada.remember("history.jsonl", user="ann")  # again: nothing is added
        ...     ada.log().n_behind
        Remembered(added=24, known=0)
        Remembered(added=0, known=24)
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
        who = people.find_or_add(self._site, self.name)
        return records.add(self._site, who.uid, rows, dry_run=dry_run)

    def update(
        self,
        base: BasePlace | str | None = None,
        *,
        settings: LearnSettings | None = None,
        n_threads: int | None = None,
        if_version: int | None = None,
        reporter: Reporter | None = None,
    ) -> Updated:
        """Build a version from all records there are: one training of the design, no search.

        Args:
            base: On which base; the head's, or the default one, when None.
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
            base=BasePlace(name=base) if isinstance(base, str) else base,
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
        who = self._who()
        query = select(certificate_table.c.envelope).where(certificate_table.c.person == who.uid)
        with self._site.engine.connect() as connection:
            found = versions.versions_of(connection, who.uid)
            n = records.n_records(connection, who.uid)
            envelopes = connection.scalars(query.order_by(certificate_table.c.made)).all()
        in_head = next((each.n_records for each in found if each.n == who.head), 0)
        return PersonLog(
            head=who.head,
            versions=tuple(found),
            n_records=n,
            n_behind=n - in_head,
            certificates=tuple(map(Certificate.checked, envelopes)),
        )

    def stored(self, n: int | None = None) -> "StoredMemory":
        """Return a version as it is stored: its weights and manifest.

        Args:
            n: Which; the head when None.

        Raises:
            MissingError: It is not there; the base answers.
            IntegrityError: It is not what was published.
        """
        from safetensors.torch import load  # noqa: PLC0415

        from lorecall.memory.memory import Manifest, StoredMemory  # noqa: PLC0415

        _, packed = self._read(n)
        manifest = Manifest.model_validate_json(packed.manifest)
        return StoredMemory(manifest=manifest, tensors=load(packed.weights))

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
        who = self._who()
        with self._site.engine.connect() as connection:
            found = records.records_of(self._site, connection, who.uid)
            gone = choice.of(found)
            uids = {each.uid for each in gone}
            holding = tuple(
                each.n
                for each in versions.versions_of(connection, who.uid)
                if uids & {*versions.records_in(connection, who.uid, each.n)}
            )
        return ToForget(gone=tuple(gone), alike=tuple(alike(gone, found)), versions=holding)

    def forget(
        self,
        *,
        records: Sequence[str] | None = None,
        conversation: str | None = None,
        before: float | str | None = None,
        like: str | None = None,
        everything: bool = False,
        reporter: Reporter | None = None,
    ) -> Certificate:
        """Forget records: out of the store, and out of every version that was built from them.

        Args:
            records: Their names, or the starts of them.
            conversation: Those of one conversation.
            before: Those of before a time.
            like: Those that hold a text.
            everything: All, and the person with them.
            reporter: Who is told how far it is.

        Raises:
            TypeError: Nothing is chosen, or in several ways.
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
        reporter = reporter or SilentReporter()
        reporter.plan(1)
        reporter.doing("forgetting")
        made = forget.forget(
            self._site,
            self._who(),
            self.name,
            asked=choice.kind,
            chosen=choice.of,
            on_step=reporter.advance,
        )
        reporter.finish()
        return made

    def resume(self) -> Certificate | None:
        """Finish a forgetting that was begun; nothing where there is none."""
        return forget.resume(self._site, self._who(), self.name, on_step=lambda _: None)

    def rebuild(self, n: int | None = None) -> Rebuilt:
        """Build a version again from its own records, and compare; nothing is published.

        Args:
            n: Which; the head when None.
        """
        from threading import Event  # noqa: PLC0415

        who = self._who()
        n, packed = self._read(n)
        with self._site.engine.connect() as connection:
            known = versions.find_version(connection, who.uid, n)
            uids = versions.records_in(connection, who.uid, n)
            held = records.records_of(self._site, connection, who.uid, uids=uids)
        request = request_again(packed.again, updates.request_for(self.name, held))
        try:
            built = self._site.builder(request, on_step=lambda _: None, cancelled=Event())
        except InputError:
            return Rebuilt(n=n, outcome="unverifiable", digest=known.digest)
        if built.packed is None or built.recipe != known.recipe:
            return Rebuilt(n=n, outcome="unverifiable", digest=known.digest)
        found = built.packed.digest
        outcome: Outcome = "differs"
        if found == known.digest:
            outcome = "identical"
        elif built.machine != known.machine:
            outcome = "other-class"
        return Rebuilt(n=n, outcome=outcome, digest=known.digest, found=found)

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
        lines = [json.dumps({"id": r.uid, **asdict(r.row)}, ensure_ascii=False) for r in found]
        parts = {"records.jsonl": "".join(f"{line}\n" for line in lines).encode()}
        n = who.head if n is None else n
        if n is not None:
            _, packed = self._read(n)
            parts["memory/manifest.json"] = packed.manifest.encode()
            parts["memory/memory.safetensors"] = packed.weights
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
            for name, part in parts.items():
                file.writestr(name, part)
        self._note_export(who.uid, n)
        write_bytes(Path(out), content.getvalue())
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
        with self._site.engine.connect() as connection:
            return people.find(self._site, connection, self.name)

    def _read(self, n: int | None) -> tuple[int, Packed]:
        with self._site.engine.connect() as connection:
            who = people.find(self._site, connection, self.name)
            n = who.head if n is None else n
            if n is None:
                raise MissingError(
                    "a memory must be there to be read",
                    expected=f"a version of {self.name!r}",
                    got="none: it was never built, or is withdrawn while something is forgotten",
                    next_step="Run `lorecall update PERSON`; until then the base answers.",
                )
            return n, versions.read(self._site, connection, who.uid, n)

    def _note_export(self, person: str, n: int | None) -> None:
        with writing(self._site.engine) as connection:
            audit.append(connection, person=person, action="exported", details={"n": n})
