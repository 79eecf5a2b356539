"""What is kept of a trained candidate."""

from collections.abc import Callable

from lorecall.train.storing import sizes_of, to_memory, training_of

from lorecall.data.history import samples_hash
from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.trial import TrialRunner

THETA = InjectionConfig(layers=(1,), n_loras=1, rank=2)


def test_a_memory_says_where_it_belongs_and_what_it_is_of(
    llama: LanguageModel, make_samples: Callable[..., tuple[Sample, ...]]
) -> None:
    """The base's own hash, and ids and a hash of the training samples, never the text."""
    split = Split(
        train=make_samples(6),
        valid=make_samples(2, first=6),
        test=make_samples(1, first=8),
        own_content=(),
    )
    trials = TrialRunner(llama, settings=TrainSettings(max_epochs=1), seed=3)
    trained = trials.train(THETA, trials.data(split, split.train))
    training = training_of(split, user="ann", dataset="made up", seed=3)
    memory = to_memory(trained, THETA, base=llama, training=training)
    memory.check_base(llama.name, llama.fingerprint)
    assert memory.config == THETA
    assert memory.tensors == trained.tensors
    kept = memory.manifest.training
    assert kept.samples_sha256 == samples_hash(split.train)
    assert kept.sample_ids == tuple(f"s{i}" for i in range(6))
    assert kept.split == sizes_of(split) == {"train": 6, "valid": 2, "test": 1}
    text = memory.manifest.model_dump_json()
    assert not any(s.query in text for s in split.train)
