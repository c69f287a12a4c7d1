"""The arithmetic of the posterior, against sums done by hand and against what must hold for any image."""

import numpy as np
import pytest
from scipy import stats

from quietscope.config import ModelError
from quietscope.models.poisson_posterior import log_likelihood, poisson_estimates, poisson_levels


def test_levels_are_equidistant_in_noise():
    levels = poisson_levels(4.0, 400.0, 32)
    assert levels.shape == (32,)
    steps = np.diff(np.sqrt(levels))
    assert steps == pytest.approx(np.full(31, 18 / 32))
    assert np.sqrt(levels[[0, -1]]) == pytest.approx([2 + 9 / 32, 20 - 9 / 32])
    assert poisson_levels(0.0, 1.0, 16)[0] > 0


@pytest.mark.parametrize(
    ("low", "high", "count"), [(3, 3, 16), (-1, 5, 16), (0, np.inf, 16), (0, np.nan, 16), (0, 1, 1)]
)
def test_levels_that_cannot_be_are_refused(low, high, count):
    with pytest.raises(ModelError, match="levels of intensity"):
        poisson_levels(low, high, count)


def test_whole_numbers_have_the_poisson_probability():
    levels = poisson_levels(0.0, 50.0, 40)
    counts = np.arange(40)
    exact = stats.poisson.logpmf(counts[:, None], levels)
    ours = log_likelihood(counts, levels)
    assert ours - ours[:, :1] == pytest.approx(exact - exact[:, :1], abs=1e-9)
    assert (ours <= 1e-12).all()


@pytest.mark.parametrize("value", [-50.0, -0.3, 0.0, 1e-9, 0.5, 37.0, 1e3, 1e7])
def test_any_number_has_finite_estimates_in_order(value):
    levels = poisson_levels(0.0, 60.0, 64)
    logits = np.random.default_rng(0).normal(0, 30, (5, 64))
    q = np.full(5, value)
    assert np.isfinite(log_likelihood(q, levels)).all()
    estimates = poisson_estimates(logits, q, levels)
    excess = max(0.0, value - levels[-1])
    for image, more in ((estimates.prior, 0), (estimates.map, excess), (estimates.posterior, excess)):
        assert np.isfinite(image).all()
        assert (image >= levels[0] - 1e-9 + more).all()
        assert (image <= (levels[-1] + more) * (1 + 1e-12)).all()


def test_the_means_are_those_of_the_sums_in_the_paper():
    levels = poisson_levels(0.0, 30.0, 24)
    rng = np.random.default_rng(1)
    prior = rng.dirichlet(np.ones(24), size=50)
    counts = rng.poisson(10, 50)
    likelihood = stats.poisson.pmf(counts[:, None], levels)
    estimates = poisson_estimates(np.log(prior), counts, levels)
    assert estimates.prior == pytest.approx((prior * levels).sum(1))
    weights = likelihood * prior
    assert estimates.posterior == pytest.approx((weights * levels).sum(1) / weights.sum(1))


def test_the_most_probable_intensity_is_found_between_levels():
    levels = poisson_levels(1.0, 100.0, 64)
    roots = np.sqrt(levels)
    for place in (2.0, 4.321, 7.77):
        # flat likelihood of the parabola's own width: the prior cancels it
        q = np.array([place**2])
        logits = -2.0 * (roots - place) ** 2 - log_likelihood(q, levels)
        assert np.sqrt(poisson_estimates(logits, q, levels).map) == pytest.approx([place], abs=1e-9)
    flat = poisson_estimates(np.zeros((3, 64)), np.array([0.0, 30.0, 1e4]), levels).map
    assert flat[0] == pytest.approx(levels[0])
    assert flat[1] == pytest.approx(30.0, rel=0.01)
    assert flat[2] == pytest.approx(1e4)


def test_two_equal_levels_do_not_make_the_most_probable_one_jump():
    levels = poisson_levels(0.0, 50.0, 32)
    logits = np.full((2, 32), -40.0)
    logits[:, 10], logits[:, 11] = 0.0, [1e-9, -1e-9]
    q = np.array([(levels[10] - levels[11]) / np.log(levels[10] / levels[11])] * 2)
    first, second = poisson_estimates(logits, q, levels).map
    assert first == pytest.approx(second, rel=1e-6)


def test_faint_pixels_are_not_biased_by_read_noise_or_gain():
    """The best single intensity for many pixels is their mean, though none is whole and many are negative."""
    levels = poisson_levels(0.0, 20.0, 400)
    rng = np.random.default_rng(2)
    for truth in (0.2, 1.0, 4.0):
        q = rng.poisson(truth * 3, 40_000) / 3 + rng.normal(0, 0.5, 40_000)
        best = levels[log_likelihood(q, levels).sum(axis=0).argmax()]
        assert best == pytest.approx(q.mean(), abs=np.diff(levels)[np.searchsorted(levels, truth)])
