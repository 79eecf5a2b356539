"""A shared memory learnt from many people, in a folder: drawn, trained, stored."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lorecall.core.files import check_room
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.catalog import Files
from lorecall.data.donors import draw_donors
from lorecall.errors import ConfigError, RunError
from lorecall.learning.share_settings import ShareSettings
from lorecall.lm.attach import n_parameters_of
from lorecall.lm.base import LanguageModel
from lorecall.memory.shared import SharedMemory
from lorecall.records import InjectionConfig
from lorecall.train.fit import fit_shared


def share_learn(  # noqa: PLR0913 - one parameter an option
    source: str,
    *,
    out: str | Path,
    consent: str,
    path: Files = None,
    without: Sequence[str] = (),
    base: LanguageModel | Callable[[], LanguageModel] = LanguageModel.load,
    settings: ShareSettings | None = None,
    reporter: Reporter | None = None,
) -> SharedMemory:
    """Learn what many people have in common, and store it.

    Args:
        source: A name in `lorecall.data.DATASETS`, or the path of a file.
        out: The shared memory's folder, a new one.
        consent: Why these people's words may be used; it is kept in the manifest.
        path: With a name: the files of that format; the installed one when None.
        without: Whom to leave out, with every conversation they took part in: who will be tested,
            or may ask to be forgotten.
        base: The frozen base, or what loads it; without a shared memory in it.
        settings: How many replies, and how they are trained.
        reporter: Who is told how far it is.

    Returns:
        The shared memory; it is stored in `out`.

    Raises:
        ConfigError: Nothing is said of consent.
        DataError: The source cannot be used, or has too few people.
        ModelError: The base holds a shared memory already.
        RunError: `out` holds something else.

    Examples:
        >>> import lorecall
        >>> base = lorecall.load_base("base", shared="none")
        >>> settings = lorecall.ShareSettings(replies=40, valid=8, rank=2)
        >>> shared = lorecall.share_learn(
        ...     "crowd.jsonl",
        ...     out="runs/shared",
        ...     consent="they were made up",
        ...     without=["p3"],
        ...     base=base,
        ...     settings=settings,
        ... )
        >>> donors = shared.manifest.donors
        >>> donors.has_person("p1"), donors.has_person("p3"), len(donors.samples)
        (True, False, 40)
        >>> lorecall.load_base("base", shared="runs/shared").shared.sha256 == shared.sha256
        True
    """
    settings, out, reporter = settings or ShareSettings(), Path(out), reporter or SilentReporter()
    if not consent.strip():
        raise ConfigError(
            "a shared memory is learnt from people who agreed to it",
            expected="why their words may be used",
            got="nothing",
            next_step='For example: --consent "MIT-licensed research data".',
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            "a shared memory goes to a folder of its own",
            expected="a new or empty folder",
            got=str(out),
            next_step="Choose another folder.",
        )
    donors = draw_donors(
        source,
        path=path,
        without=without,
        n_replies=settings.replies,
        n_valid=settings.valid,
        seed=settings.seed,
    )
    base = base if isinstance(base, LanguageModel) else base()
    theta = InjectionConfig(
        layers=tuple(range(base.n_layers)),
        n_loras=base.n_layers,
        rank=min(settings.rank, base.max_rank),
        scaling=settings.scaling,
    )
    check_room(out, 2 * n_parameters_of(base, theta), what="the shared memory")
    reporter.plan(1)
    reporter.say(
        f"{len(donors.train):,} replies of {len({s.user for s in donors.train}):,} people,"
        f" {len(donors.people):,} with those they spoke to; left out: {len(donors.left_out):,},"
        f" and their conversations: {donors.n_conversations_left_out:,}"
    )
    reporter.doing("training what they have in common")
    shared = fit_shared(
        theta,
        donors,
        base,
        settings=settings.train,
        consent=consent,
        kept_rank=settings.kept_rank,
        seed=settings.seed,
        on_step=reporter.advance,
    )
    shared.save(out)
    reporter.finish()
    return shared
