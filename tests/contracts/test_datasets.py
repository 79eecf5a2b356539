"""The contract every loader keeps, run on each of them.

`LORECALL_MUTATIONS=10000` damages each loader's files as often, `LORECALL_FILE_MB=1024` reads files
of a gigabyte (`-k memory -s` shows what that takes); by default both are small.
"""

import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorecall.data import catalog, loading
from lorecall.data.history import split_history
from lorecall.data.loader import Loader
from lorecall.data.loading import NOT_DRAWN
from lorecall.data.pool import PAIR_OF_ANOTHER
from lorecall.errors import DataError
from lorecall.records import Authorship, History

WriteFiles = Callable[[str, Path, int, int], list[Path]]

N_USERS, N_PAIRS = 7, 5
N_MUTATIONS = int(os.environ.get("LORECALL_MUTATIONS", "200"))
FILE_MB = int(os.environ.get("LORECALL_FILE_MB", "3"))
MEMORY_MB = min(3 * FILE_MB, 64)  # less than a file takes as values, and no more for any

_TOKENS = (
    *(b"\0", b"null", b"true", b"[", b"]", b"{", b"}", b'"', b"'", b"\\", b",", b":", b"\n", b"\t"),
    *(
        b"\r\n",
        b"###",
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"\\u0000",
    ),
    *("\u202e\u2028\u200e".encode(), "\U0001f600".encode(), b"-1", b"1e999", b"NaN", b"9" * 40),
    *(b"9" * 5000, b"[" * 300, b'{"a":' * 300, b"(" * 300, b"-" * 9000, b"1+" * 9000, b"{[]:1}"),
    *(b'"\\ud800"', b"{}", b"[]", b'""', b'[[["x"]]]', b"set()", b"b'x'", b"5", b"1j"),
)
_VALUES = (
    *(b"null", b"5", b"-1.5", b"1e30", b"true", b"[]", b"{}", b'""', b'" "', b'"0"', b'"x.y"'),
    *(b'"\\u0000"', b'"\\u202e\\u2028"', b'[[["x"]]]', b'{"text": ["x", null]}', b"9" * 18),
)
_FRACTION = st.floats(0, 1, exclude_max=True)
_BYTES = st.tuples(
    st.sampled_from(["flip", "cut", "end", "insert", "twice", "swap", "retype"]),
    _FRACTION,
    _FRACTION,
    st.sampled_from(_TOKENS),
)
_TYPES = st.tuples(st.just("retype"), _FRACTION, st.just(0.0), st.sampled_from(_VALUES))
_MUTATIONS = st.lists(_TYPES, min_size=1, max_size=4) | st.lists(_BYTES, min_size=1, max_size=3)
_STRING = re.compile(rb"""\"(?:[^\"\\]|\\.)*\"(\s*:)?|'(?:[^'\\]|\\.)*'(\s*:)?""")
_PACKED = st.sampled_from([*["no"] * 6, "after", "before"])
Mutation = tuple[str, float, float, bytes]


def mutated(content: bytes, kind: str, at: float, size: float, token: bytes) -> bytes:
    """Damage a file's bytes in one of several ways."""
    i = int(at * len(content))
    j = min(len(content), i + 1 + int(size * 200))
    before, after = content[:i], content[j:]
    if kind == "retype":  # another value in the place of a string that is no key
        values = [
            match.span() for match in _STRING.finditer(content) if match.groups() == (None, None)
        ]
        start, end = values[int(at * len(values))] if values else (i, j)
        return content[:start] + token + content[end:]
    changed = {
        "flip": before + bytes([content[i] ^ (1 + int(size * 254))]) + content[i + 1 :],
        "end": before,
        "insert": before + token + content[i:],
        "twice": content[:j] + content[i:],
        "swap": after + before,
        "cut": before + after,
    }
    return changed[kind]


class DatasetContract:
    """Subclass it and give what to read."""

    name: str
    """The loader's, as in the catalogue."""
    files: str
    """What writes the files, as in `conftest`."""
    authored_by: Authorship = "user"
    file_a_user: bool = False
    """Whether each user has a file of its own."""
    recognised: bool = True
    """Whether a single file tells the format."""

    @pytest.fixture
    def paths(self, write_files: WriteFiles, tmp_path: Path) -> list[Path]:
        """Return files of seven users with five usable pairs each."""
        return write_files(self.files, tmp_path / "files", N_USERS, N_PAIRS)

    def loader(self, paths: list[Path]) -> Loader:
        """Return the loader under test."""
        del paths
        return catalog.LOADERS[self.name]

    def summary(self, paths: list[Path]) -> catalog.Summary:
        """Count what the files hold, broken rows included."""
        return loading.summary_from(self.loader(paths), paths, strict=False)

    def history(self, paths: list[Path], user: str, *, seed: int = 0) -> History:
        """Load one user, or a pool."""
        return loading.history_from(self.loader(paths), paths, user=user, seed=seed)

    def test_every_user_and_pair_is_found(self, paths: list[Path]) -> None:
        """Nothing is broken, and nothing but pairs is a pair."""
        summary = self.summary(paths)
        assert [user.n_samples for user in summary.users] == [N_PAIRS] * N_USERS
        assert (summary.n_users, summary.n_replies) == (N_USERS, N_USERS * N_PAIRS)
        assert summary.n_problems == 0

    def test_a_history_is_one_users_alone(self, paths: list[Path]) -> None:
        """Ids differ, the sides are right, at most two turns come before."""
        users = [user.user for user in self.summary(paths).users]
        histories = [self.history(paths, user) for user in users]
        samples = [sample for history in histories for sample in history.samples]
        assert [sample.user for sample in samples] == [u for u in users for _ in range(N_PAIRS)]
        assert len({sample.id for sample in samples}) == len(samples)
        assert {sample.authored_by for sample in samples} == {self.authored_by}
        assert {tuple({"q", "r"} & {*sample.query.split()}) for sample in samples} == {("q",)}
        assert {tuple({"q", "r"} & {*sample.response.split()}) for sample in samples} == {("r",)}
        assert all(len(sample.earlier) <= 2 for sample in samples)
        assert len({sample.response for sample in samples}) == len(samples)

    def test_pairs_are_in_order(self, paths: list[Path]) -> None:
        """As they were written."""
        user = self.summary(paths).users[0].user
        samples = self.history(paths, user).samples
        numbers = [int(sample.response.split()[10]) for sample in samples]
        assert numbers == [numbers[0] + p for p in range(N_PAIRS)]

    def test_it_can_be_had_again(self, paths: list[Path]) -> None:
        """Reading changes nothing."""
        user = self.summary(paths).users[-1].user
        assert self.history(paths, user) == self.history(paths, user)
        assert self.summary(paths) == self.summary(paths)

    def test_gzip_is_read_as_the_plain_file(self, paths: list[Path]) -> None:
        """The first bytes tell, whatever the name."""
        plain = self.summary(paths)
        for path in paths:
            path.write_bytes(gzip.compress(path.read_bytes()))
        assert self.summary(paths) == plain

    def test_a_bom_is_no_content(self, paths: list[Path]) -> None:
        """Some editors write one."""
        plain = self.summary(paths)
        for path in paths:
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert self.summary(paths) == plain

    @pytest.mark.parametrize("packed", [False, True])
    def test_it_is_recognised_by_its_content(self, paths: list[Path], *, packed: bool) -> None:
        """Whatever the file is called, plain or gzip; what tells nothing is refused."""
        path = paths[0].rename(paths[0].with_name("some.file"))
        if packed:
            path.write_bytes(gzip.compress(path.read_bytes()))
        if self.recognised:
            name = "some.file" if self.name == "jsonl" else self.name
            assert catalog.recognised(path).name == name
            assert catalog.check(path).n_replies == catalog.check(self.name, path=path).n_replies
        else:
            with pytest.raises(DataError, match="the file must be of a known format"):
                catalog.recognised(path)

    def test_an_unknown_user_is_an_error(self, paths: list[Path]) -> None:
        """The message names some who are there."""
        with pytest.raises(DataError, match="the user must be in the data"):
            self.history(paths, "nobody of this name")

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        """The message names it."""
        with pytest.raises(DataError, match="none"):
            self.summary([tmp_path / "none.src"])

    @pytest.mark.parametrize(
        "content",
        [b"", b"\n \n", b"\0" * 100, b"\xff\xfe" * 50, b"[" * 100_000, b"plain text\n" * 30, b"5"],
        ids=["empty", "blank", "zeros", "UTF-16", "brackets", "text", "number"],
    )
    def test_what_is_no_such_file_has_no_users(self, paths: list[Path], content: bytes) -> None:
        """It is refused, or every row of it is a drop."""
        for path in paths:
            path.write_bytes(content)
        try:
            summary = self.summary(paths)
        except DataError:
            return
        assert summary.n_users == 0
        assert summary.n_problems > 0

    def test_a_damaged_gzip_is_an_error(self, paths: list[Path]) -> None:
        """Half a file is not taken for a whole one."""
        packed = gzip.compress(paths[0].read_bytes())
        paths[0].write_bytes(packed[: len(packed) // 2])
        with pytest.raises(DataError, match="must be readable"):
            self.summary(paths)

    def test_a_pool_is_every_users(self, paths: list[Path]) -> None:
        """It says that it is one, and samples keep their users."""
        pool = self.history(paths, "pooled", seed=3)
        assert pool.user == "pooled"
        assert pool.pooled is not None
        assert (pool.pooled.n_users, pool.pooled.seed) == (N_USERS, 3)
        assert len({sample.user for sample in pool.samples}) == N_USERS
        assert len(pool.samples) == N_USERS * N_PAIRS
        assert pool == self.history(paths, "pooled", seed=3)
        assert pool.samples != self.history(paths, "pooled", seed=4).samples

    def test_no_user_is_in_two_parts_of_a_pool(self, paths: list[Path]) -> None:
        """Nor is what one of them wrote elsewhere, unless all of it is in the training part."""
        pool = self.history(paths, "pooled")
        split = split_history(pool)
        train, valid, test = (
            {sample.user for sample in part} for part in (split.train, split.valid, split.test)
        )
        assert (len(train), len(valid), len(test)) == (5, 1, 1)
        assert len(train | valid | test) == N_USERS
        others = {s.text for s in pool.statements if s.conversation in valid | test}
        own = {s.text for s in pool.statements if s.conversation in train}
        assert not (others - own) & set(split.own_content)

    def test_a_pool_has_an_end(self, paths: list[Path]) -> None:
        """Whole users are left out beyond it, and their replies are counted."""
        most = 3 * N_PAIRS + 2
        pool = loading.history_from(self.loader(paths), paths, user="pooled", max_pooled=most)
        assert len(pool.samples) == 3 * N_PAIRS
        assert pool.dropped[NOT_DRAWN] == 4 * N_PAIRS

    def test_a_damaged_file_is_no_crash(self, paths: list[Path]) -> None:
        """A row is dropped, or the file refused; what is counted can be loaded."""
        whole = [path.read_bytes() for path in paths]
        outcomes = Counter[str]()

        @settings(max_examples=N_MUTATIONS)
        @given(st.integers(0, 3), _MUTATIONS, _PACKED)
        def damage(which: int, mutations: list[Mutation], packed: str) -> None:
            which %= len(paths)
            content = gzip.compress(whole[which]) if packed == "before" else whole[which]
            for mutation in mutations:
                content = mutated(content, *mutation) if content else mutation[-1]
            paths[which].write_bytes(gzip.compress(content) if packed == "after" else content)
            try:
                with contextlib.suppress(DataError):
                    catalog.recognised(paths[which])
                outcomes["rows lost" if self.check_consistent(paths) else "nothing broken"] += 1
            except DataError:
                outcomes["refused"] += 1
            finally:
                paths[which].write_bytes(whole[which])

        damage()
        print(f"{self.files}: {outcomes.total()} damaged, {dict(outcomes)}")  # noqa: T201
        assert outcomes["refused"] > 0
        assert outcomes["refused"] < outcomes.total()

    def check_consistent(self, paths: list[Path]) -> int:
        """See that the histories hold what the summary counts; give the number of broken rows."""
        summary = self.summary(paths)
        assert sum(user.n_samples for user in summary.users) == summary.totals.n_samples
        pool = self.history(paths, "pooled")
        again = pool.dropped.get(PAIR_OF_ANOTHER, 0)  # several users have it; said, not lost
        assert len(pool.samples) + again == summary.totals.n_samples
        json.dumps([sample.query + sample.response for sample in pool.samples]).encode()
        for user in summary.users[:1]:
            history = self.history(paths, user.user)
            assert len(history.samples) == user.n_samples
            for sample in history.samples:
                (sample.query + sample.response + sample.user + sample.conversation).encode()
        return summary.n_problems

    def test_memory_does_not_grow_with_the_file(
        self, write_files: WriteFiles, tmp_path: Path
    ) -> None:
        """Megabytes of many users take little more than a few lines do."""
        n_pairs = 5
        small = write_files(self.files, tmp_path / "small", 8, n_pairs)
        size = sum(path.stat().st_size for path in small) / 8
        n_users = int(FILE_MB * 2**20 / size)
        if self.file_a_user:  # fewer users of about a megabyte, not millions of files
            n_files = max(4, FILE_MB)
            n_users, n_pairs = n_files, n_users * n_pairs // n_files
        large = write_files(self.files, tmp_path / "large", n_users, n_pairs)
        peaks = [self.peak_mb(paths) for paths in (small, large)]
        for path in large:
            path.unlink()
        print(f"{self.files}: {peaks[0]:.0f} MB, {peaks[1]:.0f} MB for {FILE_MB} MB")  # noqa: T201
        assert peaks[1] - peaks[0] < MEMORY_MB

    def peak_mb(self, paths: list[Path]) -> float:
        """Return the most memory a process needs to count the files and to load a user."""
        code = (
            "import sys; from lorecall.data import catalog\n"
            "source, *paths = sys.argv[1:]\n"
            "summary = catalog.summarise(source, path=paths, n_users=3)\n"
            "assert summary.n_users > 2 and not summary.n_problems\n"
            "catalog.load_history(source, path=paths, user=summary.users[0].user)\n"
            "print([line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line][0])"
        )
        arguments = [self.name, *map(str, paths)]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout) / 1024


class TestJsonl(DatasetContract):
    """A file of one's own."""

    name, files = "jsonl", "jsonl"


class TestChitchat(DatasetContract):
    """Conversations between people."""

    name, files = "chitchat", "chitchat"


class TestAmazonQA(DatasetContract):
    """Questions, reviews and items, as published."""

    name, files = "amazon_qa", "amazon_qa"


class TestAmazonQAProcessed(DatasetContract):
    """Parallel files."""

    name, files, recognised = "amazon_qa_processed", "amazon_qa_processed", False


class TestReddit(DatasetContract):
    """A sample a line."""

    name, files = "reddit", "reddit"


class TestRedditUsers(DatasetContract):
    """A file a user."""

    name, files, file_a_user = "reddit", "reddit_users", True


class TestMedDialogue(DatasetContract):
    """A patient and an assistant."""

    name, files, authored_by = "med_dialogue", "med_dialogue", "assistant"


class TestOpenAI(DatasetContract):
    """Lines of messages."""

    name, files, authored_by = "openai", "openai", "assistant"


class TestChatGPTExport(DatasetContract):
    """A list of trees."""

    name, files, authored_by = "openai", "openai_export", "assistant"


class TestShareGPT(DatasetContract):
    """A list of conversations by who they are from."""

    name, files, authored_by = "openai", "sharegpt", "assistant"


class TestClaude(DatasetContract):
    """A list of conversations, of several accounts."""

    name, files, authored_by = "claude", "claude", "assistant"


class TestInstructions(DatasetContract):
    """Lines of prompts and completions."""

    name, files, authored_by = "instructions", "instructions", "assistant"


class TestAlpaca(DatasetContract):
    """A list of instructions and outputs."""

    name, files, authored_by = "instructions", "alpaca", "assistant"


class TestTelegram(DatasetContract):
    """A chat as JSON."""

    name, files = "telegram", "telegram"


class TestWhatsApp(DatasetContract):
    """A chat as text."""

    name, files = "whatsapp", "whatsapp"


class TestDiscord(DatasetContract):
    """A channel as JSON."""

    name, files = "discord", "discord"


class TestMessenger(DatasetContract):
    """A chat as JSON, newest first."""

    name, files = "messenger", "messenger"


class TestSlack(DatasetContract):
    """A day of a channel."""

    name, files = "slack", "slack"


class TestSignal(DatasetContract):
    """Frames of a backup."""

    name, files = "signal", "signal"


class TestMail(DatasetContract):
    """An mbox."""

    name, files = "mail", "mail"


class TestLamp(DatasetContract):
    """Questions with profiles, and their outputs."""

    name, files = "lamp", "lamp"
