"""What swapping memories between people says, against tables worked by hand and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import ConfigError
from lorecall.metrics.personal import PersonalGain, SwappedLosses, personal_gain

ANN = SwappedLosses(
    user="ann",
    own=(3.0, 2.0, 4.0),  # 3.0
    others={"bob": (3.5, 2.0, 4.4), "cid": (3.2, 1.9, 4.2)},  # 3.3 and 3.1
    shared=(3.1, 2.3, 4.2),  # 3.2
    base=(4.0, 3.0, 5.0),  # 4.0
)
BOB = SwappedLosses(
    user="bob",
    own=(2.0, 2.0),  # 2.0
    others={"ann": (1.0, 2.8), "cid": (2.5, 2.5)},  # 1.9 and 2.5
    shared=(1.9, 1.9),  # 1.9
    base=(3.0, 3.0),
)
CID = SwappedLosses(
    user="cid", own=(1.0,), others={"ann": (1.0,), "bob": (1.6,)}, shared=(1.4,), base=(1.5,)
)
ROWS = st.lists(st.floats(0.125, 9.0), min_size=3, max_size=3)


class TestOnePerson:
    """By hand."""

    @pytest.mark.parametrize(
        ("person", "gain", "own", "others", "generic", "rank", "auc"),
        [
            (ANN, 0.2, -0.2, 0.0, 0.8, 1, (2 + 0.5 + 2) / 6),
            (BOB, 0.2, 0.1, 0.3, 1.1, 2, 3 / 4),
            (CID, 0.3, -0.4, -0.1, 0.1, 2, 1.5 / 2),
        ],
        ids=["ann", "bob", "cid"],
    )
    def test_every_number(
        self,
        person: SwappedLosses,
        gain: float,
        own: float,
        others: float,
        generic: float,
        rank: int,
        auc: float,
    ) -> None:
        """PG, what own and others add to the shared memory, its worth, the place, the replies."""
        assert person.gain == pytest.approx(gain)
        assert person.own_less_shared == pytest.approx(own)
        assert person.others_less_shared == pytest.approx(others)
        assert person.generic_gain == pytest.approx(generic)
        assert person.rank == rank
        assert person.auc == pytest.approx(auc)

    def test_of_equals_the_own_comes_last(self) -> None:
        """A memory that does not stand out is not first."""
        same = SwappedLosses(user="u", own=(2.0,), others={"a": (2.0,), "b": (2.0,)}, shared=(2.0,))
        assert (same.rank, same.auc, same.gain, same.own_less_shared) == (3, 0.5, 0.0, 0.0)

    def test_without_the_base_its_worth_is_not_known(self) -> None:
        """The rest is."""
        one = SwappedLosses(user="u", own=(1.0,), others={"a": (2.0,)}, shared=(1.5,))
        assert one.generic_gain is None
        assert one.gain == 1.0

    @given(own=ROWS, a=ROWS, b=ROWS, shared=ROWS)
    def test_numpy_agrees(
        self, own: list[float], a: list[float], b: list[float], shared: list[float]
    ) -> None:
        """On any losses."""
        one = SwappedLosses(
            user="u", own=tuple(own), others={"a": tuple(a), "b": tuple(b)}, shared=tuple(shared)
        )
        others = np.array([a, b])
        mine = np.array(own)
        assert one.gain == pytest.approx(others.mean() - mine.mean())
        assert one.own_less_shared == pytest.approx(mine.mean() - np.mean(shared))
        assert one.gain == pytest.approx(one.others_less_shared - one.own_less_shared)
        prefers = np.where(mine < others, 1.0, np.where(mine == others, 0.5, 0.0))
        assert one.auc == pytest.approx(prefers.mean())


class TestSeveral:
    """Means and intervals over people."""

    @pytest.fixture
    def found(self) -> PersonalGain:
        """Return what is found of the three."""
        return personal_gain([ANN, BOB, CID], n_resamples=2_000)

    def test_means_are_over_people(self, found: PersonalGain) -> None:
        """Each counts once, however many replies there are."""
        assert found.gain.value == pytest.approx((0.2 + 0.2 + 0.3) / 3)
        assert found.own_less_shared.value == pytest.approx((-0.2 + 0.1 - 0.4) / 3)
        assert found.others_less_shared.value == pytest.approx((0.0 + 0.3 - 0.1) / 3)
        assert found.auc.value == pytest.approx((0.75 + 0.75 + 0.75) / 3)
        assert found.generic_gain is not None
        assert found.generic_gain.value == pytest.approx((0.8 + 1.1 + 0.1) / 3)

    def test_places_are_counted(self, found: PersonalGain) -> None:
        """Who is first, among how many, and for whom the own memory helps."""
        assert (found.ranks, found.n_memories) == ((1, 2, 2), 3)
        assert (found.n_first, found.n_better) == (1, 2)

    def test_intervals_hold_their_means(self, found: PersonalGain) -> None:
        """They lie within what single people have."""
        assert 0.2 - 1e-9 <= found.gain.low <= found.gain.value <= found.gain.high <= 0.3 + 1e-9
        assert found.auc.low == pytest.approx(found.auc.high)

    def test_intervals_are_those_of_numpy(self) -> None:
        """A percentile bootstrap over people, to what two draws differ."""
        rng = np.random.default_rng(0)
        gains = rng.normal(0.1, 0.05, size=40)
        people = [
            SwappedLosses(user=str(i), own=(2.0,), others={"o": (2.0 + gain,)}, shared=(2.0,))
            for i, gain in enumerate(gains)
        ]
        found = personal_gain(people, n_resamples=4_000, seed=1).gain
        means = rng.choice(gains, size=(4_000, 40)).mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.003)

    def test_the_seed_decides(self) -> None:
        """The same twice."""
        one, same = (personal_gain([ANN, BOB, CID], n_resamples=200, seed=3) for _ in range(2))
        assert one == same

    def test_one_person_whose_base_was_not_read(self) -> None:
        """Then its worth is not known of anyone."""
        bare = SwappedLosses(user="u", own=(1.0,), others={"a": (2.0,)}, shared=(1.5,))
        found = personal_gain([ANN, bare], n_resamples=100)
        assert found.generic_gain is None
        assert found.n_memories == 2


class TestRefusals:
    """In one clear line."""

    @pytest.mark.parametrize("field", ["shared", "base", "others"])
    def test_a_text_that_was_not_read_with_every_memory(self, field: str) -> None:
        """Losses of other replies cannot be compared."""
        losses = {"shared": (1.0, 1.0), "base": (2.0, 2.0), "others": {"a": (1.0, 2.0)}}
        losses[field] = {"a": (1.0,)} if field == "others" else (1.0,)
        name = "a" if field == "others" else field
        with pytest.raises(ConfigError, match=f"expected 2 losses, got 1 with {name}"):
            SwappedLosses(user="u", own=(1.0, 2.0), **losses)

    def test_a_shared_memory_that_was_not_read(self) -> None:
        """Only the base may be left out."""
        with pytest.raises(ConfigError, match="got 0 with shared"):
            SwappedLosses(user="u", own=(1.0,), others={"a": (1.0,)}, shared=())

    def test_nobody_to_swap_with(self) -> None:
        """One memory alone cannot be swapped."""
        with pytest.raises(ConfigError, match="1 replies and 0 other memories"):
            SwappedLosses(user="u", own=(1.0,), others={}, shared=(1.0,))

    def test_no_replies(self) -> None:
        """A person without a test has no place."""
        with pytest.raises(ConfigError, match="0 replies and 1 other memories"):
            SwappedLosses(user="u", own=(), others={"a": ()}, shared=())

    def test_nobody_at_all(self) -> None:
        """There is no mean of no people."""
        with pytest.raises(ConfigError):
            personal_gain([])
