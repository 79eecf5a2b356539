"""The numbers of the sampler. Importing this module imports nothing heavy."""

from dataclasses import dataclass, field

from lorecall.core.checks import check_range
from lorecall.records import SurrogateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class McmcSettings:
    """How NUTS draws the hyperparameters (SPEC section 4); 64 / 4 = 16 draws are kept.

    Args:
        warmup_steps: Steps that adapt the step size and the mass matrix, thrown away.
        posterior_samples: Steps after the warm-up.
        thinning: Every how many-th of them is kept.
        max_tree_depth: A step takes at most 2 ** depth - 1 gradients.
        continue_steps: Steps thrown away where a chain goes on from the last one; 0: none does.

    Examples:
        >>> from lorecall.search import McmcSettings
        >>> longer = McmcSettings(warmup_steps=256, posterior_samples=128)
        >>> longer.posterior_samples // longer.thinning  # draws that are kept
        32
    """

    warmup_steps: int = 128
    posterior_samples: int = 64
    thinning: int = 4
    max_tree_depth: int = 6
    continue_steps: int = 16

    def __post_init__(self) -> None:
        check_range("warmup_steps", self.warmup_steps, low=1)
        check_range("thinning", self.thinning, low=1)
        check_range("posterior_samples", self.posterior_samples, low=self.thinning)
        check_range("max_tree_depth", self.max_tree_depth, low=1)
        check_range("continue_steps", self.continue_steps, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionSettings:
    """How the acquisition is estimated and maximised.

    Args:
        mc_samples: Monte-Carlo samples for each of the posterior's draws.
        n_pareto: Most Pareto points the local search starts from.
        n_random: Random starts, the best of `n_pool`.
        n_pool: Random valid points scored before the local search.
        n_swaps: Swap moves (one boolean on, another off) tried at each step, drawn at random.
        n_near: Most neighbours of a point scored at once; the others are where none is better.
        max_steps: Most moves from a start.

    Examples:
        >>> from lorecall.search import AcquisitionSettings, SamplerOptions
        >>> quick = AcquisitionSettings(mc_samples=8, n_pool=64)
        >>> SamplerOptions(acquisition=quick).acquisition.max_steps
        32
    """

    mc_samples: int = 16
    n_pareto: int = 4
    n_random: int = 4
    n_pool: int = 256
    n_swaps: int = 16
    n_near: int = 96
    max_steps: int = 32

    def __post_init__(self) -> None:
        for name in ("mc_samples", "n_random", "n_pool", "n_near", "max_steps"):
            check_range(name, getattr(self, name), low=1)
        for name in ("n_pareto", "n_swaps"):
            check_range(name, getattr(self, name), low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """The numbers of the sampler.

    Args:
        mcmc: NUTS.
        acquisition: The acquisition.
        prior_points: Most observations taken from priors, all of them together.
        surrogate: How the hyperparameters are found: `nuts`, or `map` for the light option, which
            needs no JAX.

    Examples:
        >>> from lorecall.search import McmcSettings, SamplerOptions
        >>> SamplerOptions(mcmc=McmcSettings(warmup_steps=256)).mcmc.posterior_samples
        64
    """

    mcmc: McmcSettings = field(default_factory=McmcSettings)
    acquisition: AcquisitionSettings = field(default_factory=AcquisitionSettings)
    prior_points: int = 96
    surrogate: SurrogateKind = "nuts"

    def __post_init__(self) -> None:
        check_range("prior_points", self.prior_points, low=1)
