"""JSONL: what a user of the package has, one object a line.

    {"user": "ann", "query": "Fancy a film?", "response": "Only if it is a western.",
     "time": "2024-05-02T19:38:15Z", "conversation": "c1", "profile": ["likes westerns"]}

`user`, `query` and `response` are needed. `time` is in Unix seconds or an ISO-8601 string,
`conversation` joins lines (without it each line stands alone), `profile` is a string or a list of
them, `authored_by` says who wrote the response (`user`, the default, or `assistant`), `meta` is an
object that is not read. Any other field is an error: a typo must not lose data silently. Only
empty queries and responses are dropped.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lorecall.data.history import sample_id
from lorecall.data.rows import Problem, Row, read_rows, scan
from lorecall.data.samples import HistoryBuilder, Rules
from lorecall.data.users import UserSummary, UserTally, resolve_user, summaries
from lorecall.records import Authorship, History, Sample, Turn

RULES = Rules()
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What a file holds: its users, what is dropped and every broken line.

    `n_lines` counts the lines that are not blank, `n_problems` all broken ones, of which the first
    `MAX_PROBLEMS` are in `problems`.
    """

    n_lines: int
    users: tuple[UserSummary, ...]
    dropped: Mapping[str, int]
    problems: tuple[Problem, ...]
    n_problems: int


def load_history(path: Path, *, user: str) -> History:
    """Load one user; only this user's lines are kept in memory.

    Args:
        path: The file.
        user: The user's id, or the start of it.

    Raises:
        DataError: The file cannot be read, a line of it is broken, or the user is not in it.
    """
    full_id = resolve_user(user, Counter(row.user for _, row in read_rows(path)))
    rows = [(line, row) for line, row in read_rows(path) if row.user == full_id]
    if all(row.time is not None for _, row in rows):
        rows.sort(key=lambda numbered: numbered[1].time or 0.0)
    builder = HistoryBuilder(dataset=path.name, user=full_id, rules=RULES)
    for conversation, group in _by_conversation(rows).items():
        for position, row in enumerate(group):
            before = group[position - 1] if position else None
            builder.reply(_sample(row, conversation, position=position, before=before))
    profile = dict.fromkeys(sentence for _, row in rows for sentence in row.sentences())
    return builder.build(profile=tuple(profile))


def list_users(path: Path) -> list[UserSummary]:
    """Summarise the users of a file, most samples first.

    Raises:
        DataError: The file cannot be read, or a line of it is broken.
    """
    tallies: dict[str, UserTally] = {}
    for line, row in read_rows(path):
        _count(tallies, row, line=line)
    return summaries(tallies)


def check_file(path: Path) -> FileReport:
    """Read a whole file and report everything in it, broken lines included.

    Raises:
        DataError: The file cannot be read at all.
    """
    tallies: dict[str, UserTally] = {}
    dropped: Counter[str] = Counter()
    problems: list[Problem] = []
    n_lines = n_problems = 0
    for line, row in scan(path):
        n_lines += 1
        if isinstance(row, Problem):
            n_problems += 1
            problems += [row] if n_problems <= MAX_PROBLEMS else []
        elif reason := _count(tallies, row, line=line):
            dropped[reason] += 1
    if n_lines == 0:
        n_problems, problems = 1, [Problem(line=1, reason="the file is empty")]
    return FileReport(
        n_lines=n_lines,
        users=tuple(summaries(tallies)),
        dropped=MappingProxyType(dict(dropped)),
        problems=tuple(problems),
        n_problems=n_problems,
    )


def _count(tallies: dict[str, UserTally], row: Row, *, line: int) -> str | None:
    tally = tallies.setdefault(row.user, UserTally(RULES))
    tally.text(row.own_text)
    return tally.reply(row.conversation or _alone(line), row.query, row.response)


def _alone(line: int) -> str:
    """Name the conversation of a line that gives none."""
    return f"line {line}"


def _by_conversation(rows: list[tuple[int, Row]]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for line, row in rows:
        groups.setdefault(row.conversation or _alone(line), []).append(row)
    return groups


def _sample(row: Row, conversation: str, *, position: int, before: Row | None) -> Sample:
    query, response = row.query.strip(), row.response.strip()
    return Sample(
        id=sample_id(row.user, conversation, position=position, query=query, response=response),
        user=row.user,
        conversation=conversation,
        query=query,
        response=response,
        time=row.time,
        earlier=_turns(before, author=row.authored_by) if before else (),
        authored_by=row.authored_by,
    )


def _turns(row: Row, *, author: Authorship) -> tuple[Turn, ...]:
    """Give a pair as two turns, seen by the author of a later response."""
    same = row.authored_by == author
    sides = ((not same, row.query.strip()), (same, row.response.strip()))
    return tuple(Turn(by_author=by_author, text=text) for by_author, text in sides if text)
