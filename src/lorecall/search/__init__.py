"""Theta's search: discrete spaces, SAAS-GP, noisy EHVI, an Optuna sampler, Pareto fronts.

It works on any study of boolean, integer and ordinal parameters and never sees a model. Nothing
heavy is imported here; take what you need from the modules:

    discrete     spaces of booleans, integers and ordinals
    space        theta's own
    front        Pareto front, hypervolume, stopping and choosing
    options      the numbers of the sampler
    saas         SAAS-GP posterior samples by NUTS (JAX)
    chains       where a chain ended, kept with its trial
    map_saas     the light surrogate, fitted without JAX
    surrogate    those samples as BoTorch models; which inputs matter
    acquisition  noisy (hypervolume) improvement of single candidates
    local_search its maximum over valid discrete points
    observations what a study's trials say
    prior        what other searches found, as observations and first points
    sampler      the Optuna sampler
    study        opening, asking, recovering after a kill
    alive        who works on a trial, and whether they still do
    loop         ask, try, tell, by any number of processes
    outcome      what a finished search comes to
"""

import os

# XLA logs two harmless lines about tuning flags for every program read back from its disk cache.
# It reads this when JAX is first imported, which BoTorch does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
