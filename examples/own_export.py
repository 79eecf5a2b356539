"""From a WhatsApp export to a reply: what is in the file, what a memory of it will be, the memory.

    python examples/own_export.py chat.txt --user Ann --out runs/ann

Without a file it takes a made-up chat of eight evenings. The preset `smoke` is the quickest: it
shows that all works and says nothing of quality; `laptop` is what to use.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import lorecall
from lorecall.data import check, purpose_of

TOPICS = ("tea", "rain", "the sea", "my dog", "jazz", "bread", "snow", "books")
WHERE = ("at home", "by the river", "at work", "on the train", "in the garden")


def made_up_chat() -> Iterator[str]:
    """Write the lines of a chat of two people as WhatsApp does on Android."""
    said = list(product(TOPICS, WHERE))
    random.Random(0).shuffle(said)
    for i, (topic, where) in enumerate(said):
        now = datetime(2026, 3, 2 + 2 * (i // 5), 19, 4 * (i % 5), tzinfo=UTC)
        yield f"{now:%d/%m/%Y, %H:%M} - Ben: what is it today, {topic}?"
        later = now + timedelta(minutes=2)
        yield f"{later:%d/%m/%Y, %H:%M} - Ann: haha always {topic} {where}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the file, learn, and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path, nargs="?", help="a made-up one when left out")
    parser.add_argument("--user", default="Ann")
    parser.add_argument("--out", type=Path, default=Path("runs/own-export"))
    parser.add_argument("--preset", default="smoke", help="smoke, laptop or paper")
    parser.add_argument("--model", help="a folder or a Hugging Face id; the default base if none")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        export = options.export
        if export is None:
            export = Path(folder) / "chat.txt"
            export.write_text("\n".join(made_up_chat()) + "\n", encoding="utf-8")
        found = check(export)
        print(f"read as {found.dataset.title}, {found.n_problems} problems")
        for user in found.users:
            print(user.user, user.n_samples, "samples" if user.learnable else "samples: too few")
        history = lorecall.load_history(export, user=options.user)
    print(purpose_of(history))
    base = lorecall.load_base(options.model) if options.model else lorecall.load_base()
    settings = lorecall.preset(options.preset)
    memory = lorecall.learn(history, out=options.out, base=base, settings=settings)
    query = history.samples[-1].query
    print("query: ", query)
    print("without:", lorecall.ModelResponder(memory.base).reply(query))
    print("memory:", memory.reply([{"role": "user", "content": query}]))


if __name__ == "__main__":
    main()
