"""The chitchat loader: made-up files of its format, and the published one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorecall.data.catalog import DATASETS, list_users, load_history, summarise
from lorecall.data.events import Dialogue, Dropped, Reply, among_people
from lorecall.data.formats import chitchat
from lorecall.data.history import MIN_SAMPLES, samples_hash, split_history
from lorecall.data.loading import Summary
from lorecall.errors import DataError, MissingExtraError
from lorecall.records import History

USER = "4fde054d-4dd0-4f63-bcb2-23dd7a65433f"


def turn(sender: str, *texts: str, minute: int = 0) -> list[dict[str, str]]:
    """Make one turn of several messages."""
    stamp = f"2018-05-02T19:{minute:02}:15Z"
    return [{"text": text, "timestamp": stamp, "sender": sender} for text in texts]


def load(file: Path) -> History:
    """Load ann."""
    return load_history("chitchat", user="ann", path=file)


def write(folder: Path, conversations: object) -> Path:
    """Write a file of the dataset's format."""
    file = folder / "dataset.json"
    file.write_text(json.dumps(conversations), encoding="utf-8")
    return file


class TestMadeUpFiles:
    """The format, on files small enough to see."""

    def test_messages_of_a_turn_are_joined_by_a_space(self, tmp_path: Path) -> None:
        """Blank messages leave no second space."""
        messages = [turn("bob", "hello", " ", "how are you "), turn("ann", "I am", "fine")]
        history = load(write(tmp_path, {"c": {"messages": messages}}))
        (sample,) = history.samples
        assert (sample.query, sample.response) == ("hello how are you", "I am fine")
        assert (history.dataset, sample.time, sample.authored_by) == (
            "chitchat",
            1525287615.0,
            "user",
        )

    def test_conversations_are_ordered_by_their_first_message(self, tmp_path: Path) -> None:
        """Not by their place in the file, nor by the user's own first message."""
        late = [turn("bob", "hey", minute=5), turn("ann", "said in late", minute=6)]
        early = [turn("bob", "hey", minute=1), turn("ann", "said in early", minute=9)]
        file = write(tmp_path, {"late": {"messages": late}, "early": {"messages": early}})
        history = load(file)
        assert [s.conversation for s in history.samples] == ["early", "late"]

    def test_an_empty_conversation_is_skipped(self, tmp_path: Path) -> None:
        """It has no first message to order it by."""
        assert list(chitchat.read([write(tmp_path, {"c": {"messages": []}})])) == []

    def test_list_users_reads_the_same_file(self, tmp_path: Path) -> None:
        """Only the one who replied is a user."""
        messages = [turn("bob", "hello"), turn("ann", "I am fine")]
        file = write(tmp_path, {"c": {"messages": messages}})
        users = list_users("chitchat", path=file)
        assert [(u.user, u.n_samples) for u in users] == [("ann", 1)]

    @pytest.mark.parametrize(
        "conversations",
        [
            [],
            "text",
            {"c": []},
            {"c": None},
            {"c": {}},
            {"c": {"messages": 3}},
            {"c": {"messages": "abc"}},
            {"c": {"messages": [[]]}},
            {"c": {"messages": [{}]}},
            {"c": {"messages": [["abc"]]}},
            {"c": {"messages": [[{"text": "a", "sender": "b"}]]}},
            {"c": {"messages": [[{"text": 1, "sender": "b", "timestamp": "2018-05-02"}]]}},
            {"c": {"messages": [[{"text": "a", "sender": 1, "timestamp": "2018-05-02"}]]}},
            {"c": {"messages": [[{"text": "a", "sender": [], "timestamp": "2018-05-02"}]]}},
            {"c": {"messages": [[{"text": "a", "sender": "b", "timestamp": "then"}]]}},
            {"c": {"messages": [[{"text": "a", "sender": "b", "timestamp": 5}]]}},
            {"c": {"messages": [turn("a", "x") + turn("b", "y")]}},
        ],
    )
    def test_another_structure_is_a_data_error(self, tmp_path: Path, conversations: object) -> None:
        """Whatever is in the file, the message names the file and there is no traceback."""
        with pytest.raises(DataError, match=r"dataset\.json"):
            load(write(tmp_path, conversations))

    def test_the_broken_conversation_is_named(self, tmp_path: Path) -> None:
        """The message says where to look."""
        with pytest.raises(DataError, match=r"a turn of 2 senders in conversation 'c7'"):
            load(write(tmp_path, {"c7": {"messages": [turn("a", "x") + turn("b", "y")]}}))

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
    def test_no_json_is_a_data_error(self, tmp_path: Path, content: bytes) -> None:
        """Empty, cut off, not UTF-8, and nested too deeply."""
        (tmp_path / "dataset.json").write_bytes(content)
        with pytest.raises(DataError, match="must be readable"):
            load(tmp_path / "dataset.json")

    def test_a_missing_file_is_a_data_error(self, tmp_path: Path) -> None:
        """The path is in the message."""
        with pytest.raises(DataError, match=r"none\.json"):
            load(tmp_path / "none.json")


def read_installed(folder: Path, *, before: str = "") -> str:
    """Read the installed dataset in a fresh interpreter and give what it raises."""
    before_it = [path for path in [os.environ.get("PYTHONPATH")] if path]
    code = (
        f"import sys\n{before}\nfrom lorecall.data.formats import chitchat\nchitchat.dataset_file()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *before_it])},
    )
    return done.stderr.strip().splitlines()[-1]


class TestTheInstallation:
    """What is found where the wheel should be."""

    def test_without_the_wheel_the_install_line_is_given(self, tmp_path: Path) -> None:
        """The package's dependencies are not wanted."""
        raised = read_installed(tmp_path, before="sys.modules['chitchat_dataset'] = None")
        assert "MissingExtraError: the chitchat dataset needs" in raised
        assert raised.endswith("pip install --no-deps chitchat-dataset==0.9.0")

    def test_a_wheel_without_the_file_is_no_wheel(self, tmp_path: Path) -> None:
        """The package alone is not the dataset."""
        (tmp_path / "chitchat_dataset").mkdir()
        (tmp_path / "chitchat_dataset" / "__init__.py").touch()
        assert "MissingExtraError" in read_installed(tmp_path)

    def test_another_file_in_its_place_is_refused(self, tmp_path: Path) -> None:
        """The checksum is that of the published file."""
        (tmp_path / "chitchat_dataset").mkdir()
        (tmp_path / "chitchat_dataset" / "__init__.py").touch()
        write(tmp_path / "chitchat_dataset", {})
        assert "got another checksum" in read_installed(tmp_path)


@pytest.fixture(scope="module")
def published() -> Path:
    """Return the published file."""
    try:
        return chitchat.dataset_file()
    except MissingExtraError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def dialogues(published: Path) -> list[Dialogue]:
    """Return the published conversations, read once."""
    found = list(chitchat.dialogues([published]))
    assert not [dialogue for dialogue in found if isinstance(dialogue, Dropped)]
    return [dialogue for dialogue in found if isinstance(dialogue, Dialogue)]


@pytest.fixture(scope="module")
def summary(published: Path) -> Summary:
    """Return the counts of the published file."""
    return summarise("chitchat", path=published)


@pytest.fixture(scope="module")
def history(published: Path) -> History:
    """Return one user's history, found by the start of the id."""
    return load_history("chitchat", user="4fde054d", path=published)


@pytest.mark.real_data
class TestThePublishedFile:
    """The facts of SPEC section 5."""

    def test_its_counts(self, dialogues: list[Dialogue]) -> None:
        """Conversations, two-party conversations, replies and repliers."""
        repliers = [
            event.user for d in dialogues for event in among_people(d) if isinstance(event, Reply)
        ]
        entry = DATASETS["chitchat"]
        assert len(dialogues) == entry.n_conversations == 7_168
        assert sum(len({turn.author for turn in d.turns}) == 2 for d in dialogues) == 4_018
        assert len(repliers) == entry.n_replies == 131_569
        assert len(set(repliers)) == entry.n_users == 1_113

    def test_its_users(self, summary: Summary) -> None:
        """157 users have enough to learn from; the summary of one agrees with the history."""
        assert (summary.n_replies, summary.n_users) == (131_569, 1_113)
        users = summary.users
        assert sum(u.n_samples >= 100 and u.n_conversations >= 5 for u in users) == 157
        (one,) = (u for u in users if u.user == USER)
        assert (one.n_samples, one.n_conversations) == (166, 22)

    def test_one_user(self, history: History) -> None:
        """166 usable replies in 22 conversations."""
        assert history.user == USER
        assert len(history.samples) == 166
        assert len({s.conversation for s in history.samples}) == 22
        assert dict(history.dropped) == {"response too short: under 3 words": 15}
        assert len({s.id for s in history.samples}) == 166

    def test_first_and_last_record(self, dialogues: list[Dialogue]) -> None:
        """In time order the ends are the published ones."""
        ordered = sorted(dialogues, key=lambda dialogue: dialogue.turns[0].time or 0.0)
        assert ordered[0].id == "bb77c559-b666-495c-bc7c-82ca3c01f6a3"
        assert ordered[-1].id == "a962cbb9-7daa-41b0-87d1-853b67a7ff96"

    def test_the_samples_are_those_of_runs_before(self, history: History) -> None:
        """A run goes on with them, and tables of trials were made on them."""
        assert samples_hash(history.samples).startswith("e0b419156f3acc1c")

    def test_the_split_of_one_user(self, history: History) -> None:
        """Parts near 70/10/20, cut between conversations, and no held-out text in the content."""
        split = split_history(history)
        assert (len(split.train), len(split.valid), len(split.test)) == (118, 15, 33)
        assert len(split.train) > MIN_SAMPLES
        held_out = {sample.response for sample in split.valid + split.test}
        assert not held_out & set(split.own_content)

    def test_the_checksum_is_that_of_the_catalogue(self, published: Path) -> None:
        """Finding the installed file checks it, so finding it is the test."""
        assert DATASETS["chitchat"].sha256 == chitchat.SHA256
        assert published.name == "dataset.json"
