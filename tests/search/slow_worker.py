"""A process that works on a study with trials that take a while; run by `test_workers`."""

import sys
import time

from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.search.loop import Search
from lorecall.search.space import InjectionSpace
from lorecall.settings import SearchSettings

SPACE = InjectionSpace(n_layers=4, max_loras=4, ranks=(8, 16))


def finding(config: InjectionConfig, *, seconds: float = 0.0) -> TrialOutcome:
    """Stand for a trial of so many seconds."""
    time.sleep(seconds)
    size = sum(config.ranks().values())
    return TrialOutcome(
        loss=4.0 - 0.001 * size,
        rouge_l=10.0 + len(config.layers),
        rouge_l_error=0.1,
        n_parameters=size,
        n_tokens=1,
        curve=((0.0, 5.0), (1.0, 4.0)),
        train_s=seconds,
        evaluate_s=0.0,
    )


def open_search(url: str, *, trials: int) -> Search:
    """Open the study that all of them work on; every suggestion is random."""
    settings = SearchSettings(trials=trials, initial=trials)
    return Search(SPACE, settings=settings, seed=0, storage=url, study_name="s")


def main() -> None:
    """Work until the search is over, saying which trial begins."""
    url, trials, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    search = open_search(url, trials=trials)

    def objective(config: InjectionConfig) -> TrialOutcome:
        sys.stdout.write("began\n")
        sys.stdout.flush()
        return finding(config, seconds=seconds)

    search.work(objective)


if __name__ == "__main__":
    main()
