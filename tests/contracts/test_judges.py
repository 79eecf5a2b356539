"""The contract every judge keeps, run on each of them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lorecall.judge.endpoint import EndpointJudge
from lorecall.judge.judge import Judge, JudgeItem, StandInJudge
from lorecall.judge.local import LocalJudge
from lorecall.lm.families.tiny import tiny_base

SHOWN = [
    JudgeItem(earlier=(), query=query, user_content=content, first=first, second=second)
    for query, content, first, second in (
        ("Tea?", ("I love tea.",), "Yes, tea.", "No."),
        ("", (), "", ""),
        ("né 日本 🙂", ("日本",), "🙂", "x"),
        ("Tea?", ("I love tea.",), "Yes, tea.", "No."),
    )
]


class JudgeContract:
    """Subclass it and give `judge`."""

    @pytest.fixture
    def judge(self) -> Judge:
        """Return the judge under test."""
        raise NotImplementedError

    def test_it_has_a_name_and_a_prompt(self, judge: Judge) -> None:
        """They go into every signature, on one line, between bars."""
        for part in (judge.name, judge.prompt):
            assert part
            assert "\n" not in part
            assert "|" not in part

    def test_each_item_gets_two_scores_or_none(self, judge: Judge) -> None:
        """From 0 to 10, in the items' order, whatever the texts."""
        scores = judge.score(SHOWN)
        assert len(scores) == len(SHOWN)
        for each in scores:
            assert each is None or (len(each) == 2 and all(0 <= x <= 10 for x in each))

    def test_it_says_the_same_again(self, judge: Judge) -> None:
        """Nothing is drawn, nothing is remembered; equal items get equal scores."""
        scores = judge.score(SHOWN)
        assert judge.score(SHOWN) == scores
        assert scores[0] == scores[-1]

    def test_nothing_to_judge(self, judge: Judge) -> None:
        """An empty list is answered with one."""
        assert judge.score([]) == []


class TestStandInJudge(JudgeContract):
    """Word overlap."""

    @pytest.fixture
    def judge(self) -> Judge:
        """Return it."""
        return StandInJudge()


class TestLocalJudge(JudgeContract):
    """A tiny base."""

    @pytest.fixture
    def judge(self) -> Judge:
        """Return it, with room for the question in bytes."""
        base = tiny_base("llama")
        base.model.config.max_position_embeddings = 4096
        return LocalJudge(base)


class TestEndpointJudge(JudgeContract):
    """A server on this machine that scores by length."""

    @pytest.fixture
    def judge(self) -> Iterator[Judge]:
        """Serve, and give the judge."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                n = len(body["messages"][0]["content"]) % 10
                message = {"role": "assistant", "content": f"Response 1: {n}\nResponse 2: 5"}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                about = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
                content = json.dumps(about | {"choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield EndpointJudge("m", f"http://127.0.0.1:{server.server_port}/v1")
        server.shutdown()
        thread.join()
        server.server_close()
