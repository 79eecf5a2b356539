"""Theta's search: discrete spaces, SAAS-GP, noisy EHVI, an Optuna sampler, Pareto fronts.

It works on any study of boolean, integer and ordinal parameters and never sees a model. Nothing
heavy is imported here; take what you need from the modules:

    discrete     spaces of booleans, integers and ordinals
    space        theta's own
    front        Pareto front, hypervolume, stopping and choosing
    options      the numbers of the sampler
    saas         SAAS-GP posterior samples by NUTS (JAX)
    surrogate    those samples as BoTorch models; which inputs matter
    acquisition  noisy (hypervolume) improvement of single candidates
    local_search its maximum over valid discrete points
    observations what a study's trials say
    sampler      the Optuna sampler
    study        opening, asking, recovering after a kill
"""

import os

# XLA logs two harmless lines about tuning flags for every program read back from its disk cache.
# It reads this when JAX is first imported, which BoTorch does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
