"""Learn one person's memory, read it back from its folder, and talk with it.

    python examples/learn_and_reply.py

Without options it learns a real person of the chitchat dataset in the default base, which takes
minutes; stopped at any moment, the same command goes on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import lorecall


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, then hold a conversation of two queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", default="chitchat", help="a dataset's name, or a file")
    parser.add_argument("--user", default="4fde054d")
    parser.add_argument("--out", type=Path, default=Path("runs/learn-and-reply"))
    parser.add_argument("--preset", default="laptop", help="smoke, laptop or paper")
    parser.add_argument("--model", help="a folder or a Hugging Face id; the default base if none")
    options = parser.parse_args(arguments)

    history = lorecall.load_history(options.history, user=options.user)
    base = lorecall.load_base(options.model) if options.model else lorecall.load_base()
    lorecall.learn(history, out=options.out, base=base, settings=lorecall.preset(options.preset))

    result = lorecall.RunResult.load(options.out)
    for system, scores in result.scores.items():
        print(f"{system:<13} test loss {scores['loss'].value:.3f} nats per token")

    memory = lorecall.Memory.load(options.out, base)
    messages: list[dict[str, object]] = []
    for query in ("What did you do today?", "And tomorrow?"):
        messages.append({"role": "user", "content": query})
        print("query: ", query)
        print("memory: ", end="")
        reply = ""
        for piece in memory.stream(messages):
            print(piece, end="", flush=True)
            reply += piece
        print()
        messages.append({"role": "assistant", "content": reply})


if __name__ == "__main__":
    main()
