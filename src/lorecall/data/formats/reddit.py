"""Reddit: posts and people's responses, in two formats that the first line of a file tells apart.

- A sample a line, `post###response###history`, the history being earlier responses of the same
  author, joined by TABs, oldest first. There are no user ids: each distinct history is a user,
  named by its hash, and a line without one is a user of its own. The history's texts are the user's
  statements.
- Files of one user each, a response a line, 8 fields joined by TABs: post, its author, its time,
  response, its author, its time, and two that are not read. The response's author is the user.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lorecall.data.events import Dropped, Event, Reply, Said, located
from lorecall.data.head import Head
from lorecall.data.history import name_by_hash
from lorecall.data.lines import Line, files_in, lines, unreadable
from lorecall.data.loader import NOT_STATED, Dataset, Loader, Paths
from lorecall.data.samples import Rules, seconds

MARK = "###"
_N_PARTS, _N_FIELDS = 3, 8
_refused = partial(
    unreadable,
    expected="lines of post###response###history, or of 8 fields joined by TABs,",
    next_step="Check that this is a file of the Reddit dataset.",
)


def read(paths: Paths) -> Iterator[Event]:
    """Return the responses of the files, and what their authors wrote before."""
    for path in files_in(paths):
        yield from located(_events(path), path)


def recognises(head: Head) -> bool:
    """Whether most of the first lines are of one of the two formats."""
    texts = [line for line in head.lines if not head.places and (_is_sample(line) or _is_row(line))]
    return len(texts) > len(head.lines) / 2


LOADER = Loader(
    dataset=Dataset(
        name="reddit",
        title="Reddit: posts and responses with the author's history",
        licence=NOT_STATED,
        origin="Zhong et al. 2022 (MSP), a sample file of the same format in Chinese",
        file="msp_sample_1498.txt",
        sha256="63573299dc98c911f999b7066d45006ecd5f973632d00fe9ab4f598174b961ba",
        n_conversations=1_498,
        n_replies=1_498,
        n_users=1_498,
    ),
    record="post###response###history, or 8 fields joined by TABs",
    rules=Rules(repeats=False),
    read=read,
    recognises=recognises,
)


def _events(path: Path) -> Iterator[Event]:
    events: Callable[[Line], Iterator[Event]] | None = None
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
            continue
        events = events or _format_of(path, line)
        yield from events(line)
    if events is None:
        raise _refused(path, got="no line that can be read")


def _format_of(path: Path, line: Line) -> Callable[[Line], Iterator[Event]]:
    if _is_sample(line.text):
        return _sample
    if line.text.count("\t") == _N_FIELDS - 1:
        return _response
    raise _refused(path, got=f"line {line.number} of neither format")


def _is_sample(text: str) -> bool:
    return text.count(MARK) == _N_PARTS - 1


def _is_row(text: str) -> bool:
    """Whether a line is a response between its fields, its time among them."""
    fields = text.split("\t")
    return len(fields) == _N_FIELDS and seconds(fields[5]) is not None


def _sample(line: Line) -> Iterator[Event]:
    parts = line.text.split(MARK)
    if len(parts) != _N_PARTS:
        yield Dropped(
            "not post###response###history", line.number, detail=f"{len(parts)} parts by {MARK}"
        )
        return
    post, response, history = parts
    name = f"line {line.number}"
    user = f"history-{name_by_hash(history)}" if history.strip() else name
    for text in history.split("\t"):
        yield Said(user, name, text, again=True)
    yield Reply(user=user, conversation=name, query=post, response=response, earlier=())


def _response(line: Line) -> Iterator[Event]:
    fields = line.text.split("\t")
    if len(fields) != _N_FIELDS:
        yield Dropped("not 8 fields", line.number, detail=f"{len(fields)} fields by TABs")
        return
    post, post_author, _, response, author, time, _, _ = fields
    if not author.strip():
        yield Dropped("no author", line.number)
        return
    yield Reply(
        user=author.strip(),
        conversation=f"{post_author.strip()}: {name_by_hash(post)}",
        query=post,
        response=response,
        time=seconds(time),
        earlier=(),
    )
