"""A judge behind an OpenAI-compatible endpoint, local or someone else's.

Texts are masked, but they are a person's own words: they go where the caller says and nowhere by
default. The key is read from the environment and never written, shown or put into a message.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lorecall.core.text import plain
from lorecall.errors import ConfigError, JudgeError, MissingExtraError
from lorecall.judge.judge import JudgeItem, Scores, parse_scores, prompt_hash, question

if TYPE_CHECKING:
    from openai import APIError

KEY_VARIABLE = "OPENAI_API_KEY"
_MAX_ANSWER_TOKENS = 1024  # a model that thinks aloud needs room for it
_NO_KEY = "none"  # the client wants a key, servers of one's own do not
_REFUSED_KEY = (401, 403)
_MAX_SAID = 200
_AT_ONCE = 4  # questions under way


class EndpointJudge:
    """A model behind an endpoint, asked at temperature 0 with a seed.

    Raises:
        ConfigError: The URL has no scheme or no host.
        MissingExtraError: The extra `judge` is not installed.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        timeout_s: float = 60.0,
        retries: int = 3,
        seed: int = 0,
    ) -> None:
        try:
            from openai import OpenAI  # noqa: PLC0415
        except ImportError as reason:
            raise MissingExtraError(
                "a judge behind an endpoint",
                package="openai",
                install="pip install lorecall[judge]",
            ) from reason
        host = _host(url)
        self.name = f"endpoint {model} at {host}"
        self.prompt = prompt_hash()
        self.model = model
        self.seed = seed
        key = os.environ.get(KEY_VARIABLE) or _NO_KEY
        self._client = OpenAI(base_url=url, api_key=key, timeout=timeout_s, max_retries=retries)

    def score(self, items: Sequence[JudgeItem]) -> list[Scores | None]:
        """Score both responses of each item; None where the answer cannot be read.

        Raises:
            JudgeError: The endpoint cannot be reached, or refuses.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            waiting = [pool.submit(self._ask, item) for item in items]
            try:
                return [parse_scores(each.result()) for each in waiting]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _ask(self, item: JudgeItem) -> str:
        from openai import APIError  # noqa: PLC0415

        try:
            answer = self._client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": question(item)}],
                temperature=0,
                seed=self.seed,
                max_completion_tokens=_MAX_ANSWER_TOKENS,
            )
        except APIError as reason:
            # `from None`: the client's own error holds the request, key included
            raise self._no_answer(_what_happened(reason)) from None
        choices = getattr(answer, "choices", None)  # a page instead of an answer has none
        if not choices:
            raise self._no_answer("something else")
        return choices[0].message.content or ""

    def _no_answer(self, got: str) -> JudgeError:
        return JudgeError(
            "the judge's endpoint must answer",
            expected=f"a chat completion from {self.name}",
            got=got,
            next_step=f"Check the URL (does it end in /v1?), the model's name and {KEY_VARIABLE}.",
        )


def _what_happened(error: "APIError") -> str:
    """Return what went wrong; services quote parts of a wrong key, so those texts are left out."""
    status = getattr(error, "status_code", None)
    if status is None:
        return type(error).__name__
    said = "" if status in _REFUSED_KEY else f": {error.message[:_MAX_SAID]}"
    key = os.environ.get(KEY_VARIABLE)
    said = said.replace(key, "***") if key else said
    return plain(f"{type(error).__name__} (HTTP {status}){said}")


def _host(url: str) -> str:
    """Return host and port: what else a URL holds may be secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    if parts is None or parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(
            "an endpoint has a URL",
            expected="http(s)://HOST[:PORT]/v1",
            got="no such URL",
            next_step="For example: --url http://127.0.0.1:8000/v1",
        )
    return host if port is None else f"{host}:{port}"
