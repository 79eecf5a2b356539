"""A small bench: two made-up people, three systems, paired differences with intervals.

    python examples/compare_systems.py

Every system is made from one person's training part alone and read on the same test samples. Two
people decide nothing: a verdict wants the preset `laptop` and eight people or more.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lorecall import LanguageModel
from lorecall.bench import bench_preset, check_failures, make_plan, render_bench, run_bench
from lorecall.metrics import metrics

PEOPLE = {"ada": ("tea", "rain", "the sea"), "bob": ("jazz", "bread", "snow")}
SYSTEMS = ("vanilla", "retrieval", "default-lora")


def made_up_rows() -> Iterator[dict[str, object]]:
    """Write both people's samples, each with topics of their own."""
    for user, topics in PEOPLE.items():
        rng = random.Random(user)
        for i in range(24):
            topic = rng.choice(topics)
            yield {
                "user": user,
                "query": f"what is it today, {topic}?",
                "response": f"{topic} again, said {user} for the {i + 1}. time",
                "conversation": f"c{i // 4}",
                "time": 1_700_000_000 + 3600 * i,
            }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/compare-systems"))
    parser.add_argument("--model", help="a folder or a Hugging Face id; the default base if none")
    options = parser.parse_args(arguments)
    base = LanguageModel.load(options.model) if options.model else LanguageModel.load()
    with TemporaryDirectory() as folder:
        people = Path(folder) / "people.jsonl"
        people.write_text("".join(json.dumps(row) + "\n" for row in made_up_rows()))
        plan = make_plan(
            [str(people)],
            users=",".join(PEOPLE),
            systems=",".join(SYSTEMS),
            settings=bench_preset("smoke"),
        )
        check_failures(run_bench(plan, base, out=options.out), options.out)
    (dataset,) = render_bench(options.out).datasets
    print("compared by:", ", ".join(f"{m.title} {m.arrow}" for m in metrics().values()))
    print("tables:", ", ".join(grid.title for grid in dataset.grids))
    print(f"wrote {options.out}/bench.md and bench.html")


if __name__ == "__main__":
    main()
