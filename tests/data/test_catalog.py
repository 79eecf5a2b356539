"""One way in for datasets and files."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lorecall.data.catalog import (
    DATASETS,
    LOADERS,
    describe,
    find_users,
    list_users,
    load_history,
    summarise,
)
from lorecall.errors import DataError


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    """Write a JSONL file of one line."""
    file = tmp_path / "mine.jsonl"
    file.write_text('{"user": "ann", "query": "How?", "response": "Like so."}\n', encoding="utf-8")
    return file


@pytest.fixture
def chitchat(tmp_path: Path) -> Path:
    """Write a chitchat file: bob opens, ann gives two usable replies, bob none."""
    texts = [("bob", "hi"), ("ann", "how are you"), ("bob", "ok"), ("ann", "and the dog today")]
    messages = [
        [{"text": text, "timestamp": "2018-05-02T19:38:15Z", "sender": sender}]
        for sender, text in texts
    ]
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps({"c": {"messages": messages}}), encoding="utf-8")
    return file


class TestLoadHistory:
    """A name or a path."""

    def test_a_path(self, jsonl: Path) -> None:
        """As a `Path` and as text."""
        assert load_history(jsonl, user="ann") == load_history(str(jsonl), user="ann")

    def test_a_name_with_a_file_of_its_format(self, chitchat: Path) -> None:
        """The installed file can be replaced."""
        history = load_history("chitchat", user="ann", path=chitchat)
        assert [s.response for s in history.samples] == ["how are you", "and the dog today"]

    @pytest.mark.parametrize("source", ["chitchatt", "none.jsonl", "", ".", Path("chitchat")])
    def test_neither(self, source: str | Path) -> None:
        """The message lists the names there are; a `Path` is never a name."""
        with pytest.raises(DataError, match=r"one of amazon_qa, .*, or the path of a file"):
            load_history(source, user="ann")


class TestFindUsers:
    """Ids, or the starts of them."""

    def test_in_the_order_of_the_starts(self, chitchat: Path) -> None:
        """Each as its full id."""
        assert find_users("chitchat", ["b", "ann"], path=chitchat) == ["bob", "ann"]

    def test_nobody(self, chitchat: Path) -> None:
        """A start that fits no user is refused, whichever of them it is."""
        with pytest.raises(DataError, match="the user must be in the data"):
            find_users("chitchat", ["ann", "eve"], path=chitchat)


class TestListUsers:
    """Users of a name or a path."""

    def test_a_path(self, jsonl: Path) -> None:
        """One user, one sample."""
        assert [(u.user, u.n_samples) for u in list_users(jsonl)] == [("ann", 1)]

    def test_a_name(self, chitchat: Path) -> None:
        """Most usable samples first, those without any last."""
        found = [(u.user, u.n_samples) for u in list_users("chitchat", path=chitchat)]
        assert found == [("ann", 2), ("bob", 0)]


class TestDescribe:
    """A dataset's entry and its Table 1."""

    def test_the_numbers_are_those_of_users_with_a_sample(self, chitchat: Path) -> None:
        """Worked by hand: ann wrote two texts, of three and four words, both usable."""
        numbers = describe("chitchat", summarise("chitchat", path=chitchat))
        assert numbers["licence"] == "MIT"
        assert (numbers["# User"], numbers["# Samples"], numbers["# Len(History)"]) == (1, 2, 2.0)
        assert numbers["Avg. Len(Content)"] == numbers["Avg. Len(Response)"] == 3.5

    def test_it_is_plain_json(self, chitchat: Path) -> None:
        """It can be printed as it is."""
        assert json.loads(json.dumps(describe("chitchat", summarise("chitchat", path=chitchat))))

    def test_a_dataset_without_users(self, tmp_path: Path) -> None:
        """Zeros, not a division by nothing."""
        (tmp_path / "dataset.json").write_text("{}", encoding="utf-8")
        summary = summarise("chitchat", path=tmp_path / "dataset.json")
        assert describe("chitchat", summary)["Avg. Len(Content)"] == 0

    def test_a_jsonl_file_has_the_same_numbers(self, jsonl: Path) -> None:
        """Without an entry: what is known of it is its name and what it was read as."""
        numbers = describe(jsonl, summarise(jsonl))
        assert (numbers["name"], numbers["# Samples"]) == (str(jsonl), 1)
        assert str(numbers["title"]).startswith("JSONL")
        assert "licence" not in numbers


class TestFiles:
    """Which files a name is read from."""

    def test_a_format_without_files_of_its_own(self) -> None:
        """They must be given; the message says how."""
        with pytest.raises(DataError, match=r"the files of reddit must be given.*--path FILE"):
            list_users("reddit")

    def test_several_files(self, tmp_path: Path) -> None:
        """One after the other, as paths or as text."""
        files = [tmp_path / "a.txt", tmp_path / "b.txt"]
        for i, file in enumerate(files):
            file.write_text(f"post###answer {i}###before", encoding="utf-8")
        (user,) = list_users("reddit", path=[files[0], str(files[1])])
        assert user.n_samples == 2

    def test_an_archive_of_several(self, tmp_path: Path) -> None:
        """Those of the format are read, whatever else is there; what they share counts once."""
        path = tmp_path / "all.zip"

        def write(**conversations: list[str]) -> None:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("settings.json", "{}")
                for name, said in conversations.items():
                    sides = zip(("user", "assistant") * 2, said, strict=False)
                    messages = [{"role": role, "content": text} for role, text in sides]
                    archive.writestr(f"{name}.json", json.dumps([{"messages": messages}]))

        write(a=["which sea is it?", "the red one"], b=["and which hill?", "the warm one"])
        both = load_history(path)
        assert [s.response for s in both.samples] == ["the red one", "the warm one"]
        assert (both.dataset, both.files) == ("openai", (str(path.resolve()),))
        once = ["what is it that the fox and the dog had in the end?", "tea"]
        write(may=once, june=[*once, "and then?", "bread"])
        again = load_history("openai", path=path)
        assert sorted(s.response for s in again.samples) == ["bread", "tea"]
        write()
        with pytest.raises(DataError, match="the file must be of a known format"):
            load_history(path)

    def test_a_file_takes_no_further_ones(self, jsonl: Path) -> None:
        """A path belongs to a name."""
        with pytest.raises(DataError, match="a path belongs to the name of a dataset"):
            list_users(jsonl, path=jsonl)


def test_the_catalogue_cannot_be_changed() -> None:
    """It is shared by everyone in the process."""
    with pytest.raises(TypeError):
        DATASETS["mine"] = DATASETS["chitchat"]  # pyright: ignore[reportIndexIssue]


def test_every_entry_has_its_loader() -> None:
    """And every loader its entry, under its own name."""
    assert list(LOADERS) == list(DATASETS)
    assert all(entry.name == name for name, entry in DATASETS.items())
    assert all(entry.licence and entry.origin for entry in DATASETS.values())


def test_importing_it_brings_no_model_code() -> None:
    """Checks of data start at once."""
    heavy = "torch transformers botorch optuna numpy rouge_score stop_words chitchat_dataset"
    code = f"import sys, lorecall.data.catalog; print(set(sys.modules) & set('{heavy}'.split()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
