"""OpenAI messages, and ChatGPT's export."""

import json
import zipfile
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, summarise
from lorecall.errors import DataError
from lorecall.records import Turn


def message(role: str, content: object, **more: object) -> dict[str, object]:
    """Make a message."""
    return {"role": role, "content": content} | more


def lines(folder: Path, *rows: object) -> Path:
    """Write a row a line."""
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "log.jsonl"


def written(folder: Path, value: object) -> Path:
    """Write one value over many lines."""
    (folder / "log.jsonl").write_text(json.dumps(value, indent=1))
    return folder / "log.jsonl"


TALK = [message("user", "one"), message("assistant", "two"), message("user", "three")]


class TestMessages:
    """`{"messages": [...]}`."""

    def test_the_assistant_answers_the_user(self, tmp_path: Path) -> None:
        """The user's texts are the queries; what got no answer is a statement."""
        history = load_history("openai", user="user", path=lines(tmp_path, {"messages": TALK}))
        (sample,) = history.samples
        assert (sample.query, sample.response, sample.authored_by) == ("one", "two", "assistant")
        assert (sample.own_text, sample.earlier) == ("one", ())
        assert [said.text for said in history.statements] == ["three"]

    def test_a_conversation_may_name_its_user(self, tmp_path: Path) -> None:
        """Others are `user`'s."""
        path = lines(tmp_path, {"messages": TALK, "user": "ann"}, {"messages": TALK})
        assert [user.user for user in summarise("openai", path=path).users] == ["ann", "user"]

    @pytest.mark.parametrize("indent", [None, 2])
    @pytest.mark.parametrize("alone", [True, False])
    def test_lists_and_single_conversations(
        self,
        tmp_path: Path,
        indent: int | None,
        alone: bool,  # noqa: FBT001
    ) -> None:
        """However they are laid out."""
        value = {"messages": TALK} if alone else [{"messages": TALK}] * 3
        (tmp_path / "x.json").write_text(json.dumps(value, indent=indent))
        assert summarise("openai", path=tmp_path / "x.json").n_replies == (1 if alone else 3)

    @pytest.mark.parametrize(
        "content",
        [
            "a\nb",
            ["a", "b"],
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            [{"type": "image_url", "image_url": {"url": "x"}}, "a", {"type": "text", "text": "b"}],
            {"content_type": "text", "parts": ["a", {"asset": 1}, "b"]},
        ],
    )
    def test_contents_in_parts(self, tmp_path: Path, content: object) -> None:
        """The texts among them, a line each."""
        path = lines(tmp_path, {"messages": [message("user", "q"), message("assistant", content)]})
        (sample,) = load_history("openai", user="user", path=path).samples
        assert sample.response == "a\nb"

    def test_messages_in_a_row_are_one_turn(self, tmp_path: Path) -> None:
        """A line each, whatever stands between them: tools, and calls of them without text."""
        talk = [
            message("system", "be kind"),
            *(message("user", "one"), message("user", "more")),
            *(message("assistant", None), message("tool", "42"), message("assistant", "it is 42")),
            *(message("user", "thanks"), message("assistant", "sure")),
        ]
        history = load_history("openai", user="user", path=lines(tmp_path, {"messages": talk}))
        assert [(s.query, s.response) for s in history.samples] == [
            ("one\nmore", "it is 42"),
            ("thanks", "sure"),
        ]
        assert history.samples[1].earlier == (
            Turn(by_author=False, text="one\nmore"),
            Turn(by_author=True, text="it is 42"),
        )
        assert history.dropped == {"message of another role": 2, "message without text": 1}

    @pytest.mark.parametrize(
        ("role", "content", "names"),
        [
            *(("from", "value", ("human", "gpt")), ("from", "value", ("user", "chatgpt"))),
            ("role", "content", ("user", "assistant")),
        ],
    )
    def test_sharegpt(
        self, tmp_path: Path, role: str, content: str, names: tuple[str, str]
    ) -> None:
        """Conversations, whatever role and content are called; what tools say is no text."""
        sides = (*zip(names, ("one", "two"), strict=True), ("function_call", "f()"))
        said = [{role: name, content: text} for name, text in sides]
        path = lines(tmp_path, {"conversations": said, "system": "be brief", "tools": "[]"})
        history = load_history(path)
        assert [(s.query, s.response) for s in history.samples] == [("one", "two")]
        assert history.dropped == {"message of another role": 1}
        assert load_history(written(tmp_path, [{"conversations": said}])) == history

    @pytest.mark.parametrize(
        "hidden",
        [
            *(message("assistant", "no", weight=0), message("assistant", "no", recipient="web")),
            message("assistant", "no", metadata={"is_visually_hidden_from_conversation": True}),
            message("assistant", {"content_type": "thoughts", "text": "no"}),
            message("assistant", {"content_type": "code", "text": "no"}),
            message("assistant", [{"type": "reasoning", "text": "no"}, {"type": "tool_use"}]),
            *(message("assistant", "<think>no</think>"), message("assistant", None)),
            *(
                message("assistant", "no", channel="analysis"),
                message("assistant", "no", train=False),
            ),
            message("assistant", '<tool_call>{"name": "f"}</tool_call>'),
            message("assistant", "<|channel|>analysis<|message|>no<|end|>"),
        ],
    )
    def test_what_was_not_said_is_no_answer(
        self, tmp_path: Path, hidden: dict[str, object]
    ) -> None:
        """Alone it leaves the question unanswered; before an answer it is no part of it."""
        alone = {"messages": [message("user", "one"), hidden, message("user", "more")]}
        then = {"messages": [message("user", "three"), hidden, message("assistant", "four")]}
        history = load_history("openai", user="user", path=lines(tmp_path, alone, then))
        assert [(s.query, s.response) for s in history.samples] == [("three", "four")]
        assert [said.text for said in history.statements] == ["one", "more"]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            *(("<think>hm\nhm</think>\nyes", "yes"), ("hm</think>yes", "yes"), ("a < b", "a < b")),
            *(
                ("see\ue200cite\ue202turn0\ue201 there", "see there"),
                ("so\u30104\u2020a\u3011", "so"),
            ),
            ("<Thinking>hm</Thinking>yes <reasoning>no", "yes"),
            ("<seed:think>hm</seed:think>yes", "yes"),
            ("\u25c1think\u25b7hm\u25c1/think\u25b7yes[THINK]hm[/THINK]", "yes"),
            ('<antThinking a="1">hm</antThinking>yes<function_calls>f</function_calls>', "yes"),
            ("<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>yes", "yes"),
            (
                "we think of <b>tags</b> and a think tank",
                "we think of <b>tags</b> and a think tank",
            ),
        ],
    )
    def test_reasoning_and_marks_are_taken_off(self, tmp_path: Path, text: str, found: str) -> None:
        """Nobody said them."""
        talk = {"messages": [message("user", "q"), message("assistant", text)]}
        (sample,) = load_history("openai", user="user", path=lines(tmp_path, talk)).samples
        assert sample.response == found

    def test_what_a_tool_gave_back_is_not_the_users(self, tmp_path: Path) -> None:
        """Though it has their role: the assistant's turn goes on."""
        given = [{"type": "tool_result", "content": [{"type": "text", "text": "found"}]}]
        said = [
            message("assistant", "let me see"),
            message("user", given),
            message("assistant", "ah"),
        ]
        path = lines(tmp_path, {"messages": [message("user", "one"), *said]})
        history = load_history("openai", user="user", path=path)
        assert [(s.query, s.response) for s in history.samples] == [("one", "let me see\nah")]
        assert history.dropped == {"message of another role": 1}

    def test_other_names_of_the_roles(self, tmp_path: Path) -> None:
        """And a user that is a number."""
        talk = [message("human", "one"), message("gpt", "two")]
        history = load_history("openai", path=lines(tmp_path, {"user": 42, "messages": talk}))
        assert (history.user, len(history.samples)) == ("42", 1)

    def test_a_broken_first_line_does_not_hide_the_others(self, tmp_path: Path) -> None:
        """It is a problem, they are read."""
        path = lines(tmp_path, {"messages": TALK})
        path.write_text('{"messages": [{"role"\n' + path.read_text())
        summary = check("openai", path=path)
        assert (summary.n_problems, summary.n_replies) == (1, 1)

    @pytest.mark.parametrize("time", [None, 5])
    def test_exported_again_with_more_turns(self, tmp_path: Path, time: int | None) -> None:
        """What was there before counts once, and it is one conversation; in either order."""
        question = "what can I cook with leeks today"
        talk = [
            *(message("user", question), message("assistant", "a leek and potato soup is easy")),
            *(message("user", "how long"), message("assistant", "forty minutes")),
        ]
        talk = [each | ({"create_time": time + n} if time else {}) for n, each in enumerate(talk)]
        for name, part in (("may", talk[:2]), ("june", talk)):
            (tmp_path / name).mkdir()
            lines(tmp_path / name, {"messages": part})
        paths = [tmp_path / name / "log.jsonl" for name in ("may", "june")]
        for order in (paths, paths[::-1]):
            history = load_history("openai", user="user", path=order)
            assert [s.query for s in history.samples] == [question, "how long"]
            assert len({s.conversation for s in history.samples}) == 1
            assert history.dropped == {"message that another file has too": 1}

    def test_two_accounts_stay_apart(self, tmp_path: Path) -> None:
        """Though files and lines have the same names and numbers."""
        for name in "ab":
            (tmp_path / name).mkdir()
            lines(tmp_path / name, {"messages": [message("user", name), message("assistant", "x")]})
        paths = [tmp_path / name / "log.jsonl" for name in "ab"]
        samples = load_history("openai", user="user", path=paths).samples
        assert len({s.conversation for s in samples}) == 2

    @pytest.mark.parametrize("packed", [False, True])
    def test_an_export_says_whose_it_is(self, tmp_path: Path, *, packed: bool) -> None:
        """In a file beside it, if it has a name there that is one; a field of its own is first."""
        paths: list[Path] = []
        named: dict[str, object] = {"a": "user-A", "b": "user-B", "c": 5}
        for name, told in named.items():
            rows = [{"messages": TALK}, {"messages": TALK, "user": f"own {name}"}]
            folder = tmp_path / name
            folder.mkdir()
            (folder / "conversations.json").write_text(json.dumps(rows))
            (folder / "user.json").write_text(json.dumps({"id": told}))
            paths.append(folder / "conversations.json")
            if packed:
                paths[-1] = folder / "export.zip"
                with zipfile.ZipFile(paths[-1], "w") as archive:
                    for file in ("conversations.json", "user.json"):
                        archive.write(folder / file, f"mine/{file}")
                        (folder / file).unlink()
        users = {user.user for user in summarise("openai", path=paths).users}
        assert users == {"user-A", "user-B", "user", "own a", "own b", "own c"}

    def test_broken_parts_are_counted_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        """A line, a conversation, a message."""
        rows: list[object] = [
            {"messages": TALK},
            {"messages": "x"},
            {},
            5,
            {"messages": [message("user", "1"), 5, message("assistant", "2"), {"role": 7}]},
            {"messages": [message("user", "\ud800")]},
        ]
        path = lines(tmp_path, *rows)
        path.write_text(path.read_text() + "{broken\n")
        summary = check("openai", path=path)
        assert summary.dropped == {
            "broken conversation": 3,
            "broken message": 3,
            "neither JSON nor a Python literal": 1,
        }
        assert summary.n_replies == 2


class TestExport:
    """ChatGPT's `conversations.json`."""

    def test_the_branch_of_the_current_node_is_read(self, tmp_path: Path) -> None:
        """Oldest first; what was tried and thrown away is not part of it."""

        def node(parent: str | None, role: str | None, said: str, time: float) -> object:
            content = {"content_type": "text", "parts": [said]}
            found = {"author": {"role": role}, "content": content, "create_time": time}
            return {"parent": parent, "message": found if role else None}

        mapping = {
            "last": node("question", "assistant", "kept", 30.5),
            "thrown": node("question", "assistant", "thrown away", 20),
            "root": node(None, None, "", 0),
            "question": node("root", "user", "which?", 10),
        }
        conversation = {"title": "t", "mapping": mapping, "current_node": "last"}
        (tmp_path / "c.json").write_text(json.dumps([conversation]))
        (sample,) = load_history("openai", user="user", path=tmp_path / "c.json").samples
        assert (sample.query, sample.response, sample.time) == ("which?", "kept", 30.5)

    @pytest.mark.parametrize("current", ["gone", None])
    def test_a_circle_and_an_unknown_node_end(self, tmp_path: Path, current: str | None) -> None:
        """Each node is read once; without a current one the last is it."""
        said = message("user", "q")
        mapping = {"a": {"parent": "b", "message": said}, "b": {"parent": "a", "message": said}}
        conversation = {"mapping": mapping, "current_node": current}
        (tmp_path / "c.json").write_text(json.dumps([conversation]))
        assert summarise("openai", path=tmp_path / "c.json").n_replies == 0

    def test_a_broken_node_is_counted(self, tmp_path: Path) -> None:
        """What comes after it is read, what was before it cannot be found."""
        mapping = {
            "a": {"parent": None, "message": message("user", "lost")},
            "b": 5,
            "c": {"parent": "b", "message": message("user", "q")},
            "d": {"parent": "c", "message": message("assistant", "r")},
        }
        (tmp_path / "c.json").write_text(json.dumps([{"mapping": mapping, "current_node": "d"}]))
        summary = check("openai", path=tmp_path / "c.json")
        assert (summary.n_replies, dict(summary.dropped)) == (1, {"broken message": 1})

    def test_conversations_are_ordered_by_their_start(self, tmp_path: Path) -> None:
        """The export has the newest first."""
        talks = [
            {"messages": [message("user", f"q{t}", create_time=t), message("assistant", "a")]}
            for t in (9, 3, 5)
        ]
        samples = load_history("openai", user="user", path=lines(tmp_path, *talks)).samples
        assert [sample.query for sample in samples] == ["q3", "q5", "q9"]

    def test_a_conversation_without_times_of_messages(self, tmp_path: Path) -> None:
        """It has its own; thousandths of seconds are seconds."""
        talks = [
            {"messages": [message("user", f"q{t}"), message("assistant", "a")], "create_time": t}
            for t in (1_700_000_000_000, 1_600_000_000)
        ]
        samples = load_history("openai", user="user", path=lines(tmp_path, *talks)).samples
        assert [(s.query, s.time) for s in samples] == [
            ("q1600000000", 1.6e9),
            ("q1700000000000", 1.7e9),
        ]


@pytest.mark.parametrize("content", ["", "text", "5", "[]", '"x"'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """The message says what is expected."""
    (tmp_path / "x").write_text(content)
    with pytest.raises(DataError, match="expected conversations with messages"):
        summarise("openai", path=tmp_path / "x")
