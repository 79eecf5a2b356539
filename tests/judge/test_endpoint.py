"""A judge behind an endpoint, against a small server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lorecall.core.jsonl import write_records
from lorecall.errors import ConfigError, JudgeError
from lorecall.judge.endpoint import KEY_VARIABLE, EndpointJudge
from lorecall.judge.judge import item_of, question
from lorecall.judge.pairs import Pair
from lorecall.judge.win_rate import judge_pairs

MakePair = Callable[..., Pair]
KEY = "sk-not-a-real-key-0123456789"


@dataclass
class Endpoint:
    """A server that answers chat completions, and what it was asked."""

    url: str = ""
    answer: Callable[[str], tuple[int, Any]] = field(default=lambda _: (200, "Response 1: 8\n2: 3"))
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


def completion(text: object) -> dict[str, Any]:
    """Make what such an endpoint sends back."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
    return about | {"choices": [choice]}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Serve on a free port of this machine."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    known = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known.requests.append(body | {"path": self.path})
            known.keys.append(self.headers["Authorization"])
            status, said = known.answer(body["messages"][0]["content"])
            if isinstance(said, bytes):
                content, kind = said, "text/html"
            else:
                value = said if isinstance(said, dict) else completion(said)
                content, kind = json.dumps(value).encode(), "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_sent_and_read(endpoint: Endpoint, make_pair: MakePair) -> None:
    """Temperature 0, a seed, the question; both scores come back."""
    shown = item_of(make_pair())
    judge = EndpointJudge("some-model", endpoint.url, seed=7)
    assert judge.score([shown]) == [(8, 3)]
    (request,) = endpoint.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"], request["seed"]) == ("some-model", 0, 7)
    assert request["messages"] == [{"role": "user", "content": question(shown)}]
    assert "max_completion_tokens" in request


def test_many_at_once_keep_their_order(endpoint: Endpoint, make_pair: MakePair) -> None:
    """Answers are matched to questions, not to their time of arrival."""
    endpoint.answer = lambda asked: (200, f"Response 1: {asked.count('x')}\nResponse 2: 0")
    pairs = [make_pair(query="q", response_a="x" * i, response_b="b") for i in range(9)]
    shown = [item_of(pair) for pair in pairs]
    extra = question(shown[0]).count("x")
    scores = EndpointJudge("m", endpoint.url).score(shown)
    assert scores == [(i + extra, 0) for i in range(9)]
    assert EndpointJudge("m", endpoint.url).score([]) == []


@pytest.mark.parametrize("said", ["no idea", "", None])
def test_an_answer_that_cannot_be_read_is_none(
    said: object, endpoint: Endpoint, make_pair: MakePair
) -> None:
    """Prose, nothing, or no text at all."""
    endpoint.answer = lambda _: (200, completion(said))
    assert EndpointJudge("m", endpoint.url).score([item_of(make_pair())]) == [None]


def test_it_asks_again_after_a_failure(endpoint: Endpoint, make_pair: MakePair) -> None:
    """As often as it was told to."""
    answers = iter([(500, {"error": {"message": "busy"}}), (200, "Response 1: 1\nResponse 2: 2")])
    endpoint.answer = lambda _: next(answers)
    assert EndpointJudge("m", endpoint.url, retries=1).score([item_of(make_pair())]) == [(1, 2)]
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, {"error": {"message": "no model m"}}, "HTTP 404"),
        (400, {"error": {"message": f"bad {KEY}"}}, "bad ***"),
        (401, {"error": {"message": f"Incorrect key {KEY[:8]}***{KEY[-4:]}"}}, "HTTP 401"),
        (200, b"<html>a page</html>", "something else"),
        (200, {"choices": []}, "something else"),
    ],
)
def test_a_refusal_is_one_line_without_the_key(
    status: int,
    body: object,
    said: str,
    endpoint: Endpoint,
    make_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor any part of it that the service quotes."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    endpoint.answer = lambda _: (status, body)
    with pytest.raises(JudgeError) as refused:
        EndpointJudge("m", endpoint.url, retries=0).score([item_of(make_pair())] * 6)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert KEY[:8] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nobody_there_is_a_judge_error(make_pair: MakePair) -> None:
    """A closed port."""
    judge = EndpointJudge("m", "http://127.0.0.1:9/v1", retries=0, timeout_s=5)
    with pytest.raises(JudgeError, match="APIConnectionError"):
        judge.score([item_of(make_pair())])


def test_the_key_is_sent_and_never_written(
    endpoint: Endpoint, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """It is in the request's header, and in nothing that is kept."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    judge = EndpointJudge("m", endpoint.url)
    write_records(tmp_path / "labels.jsonl", judge_pairs(judge, [make_pair()]))
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    assert KEY not in (tmp_path / "labels.jsonl").read_text()
    assert KEY not in repr(vars(judge))


def test_masked_texts_alone_leave_the_machine(endpoint: Endpoint, make_pair: MakePair) -> None:
    """No address, no truth, no system's name, no user's."""
    pair = make_pair(user_content=("ada@example.org",), response_a="call 555-010-4477", user="bo77")
    judge_pairs(EndpointJudge("m", endpoint.url), [pair])
    sent = json.dumps(endpoint.requests)
    for hidden in ("ada@example.org", "555-010-4477", "truth of", "memory", "vanilla", "bo77"):
        assert hidden not in sent


def test_its_name_holds_no_password() -> None:
    """Host and port; what else a URL has may be secret."""
    judge = EndpointJudge("m", "https://user:pass@judge.example:8443/v1?key=abc")
    assert judge.name == "endpoint m at judge.example:8443"


@pytest.mark.parametrize("url", ["", "judge.example/v1", "ftp://x", "http://", "http://x:port/v1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="has a URL"):
        EndpointJudge("m", url)
