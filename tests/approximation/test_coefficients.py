"""Normal approximations of coefficients: some of them given the others."""

import numpy as np

from pymc_mlm.approximation.standard import CoefficientInformation, Standard


def test_levels_given_the_other_coefficients_are_the_conditional_normal():
    rng = np.random.default_rng(3)
    root, sds, mode = rng.normal(size=(5, 5)), rng.uniform(0.5, 20.0, 5), rng.normal(size=5)
    found = CoefficientInformation(Standard(False, np.zeros(5), sds), mode, root @ root.T)
    # By the precision of the coefficients as given, whose block is that of the conditional.
    precision, mean = np.linalg.inv(root @ root.T) * np.outer(sds, sds), mode / sds
    for count in (1, 2):
        own, cross = precision[:count, :count], precision[:count, count:]
        expected = -np.linalg.solve(own, cross)
        constant, slopes, given = found.levels(count)
        np.testing.assert_allclose(slopes, expected, rtol=1e-6)
        np.testing.assert_allclose(constant, mean[:count] - expected @ mean[count:], rtol=1e-6)
        given = given.reshape(count, count)
        np.testing.assert_allclose(given @ given.T, np.linalg.inv(own), rtol=1e-6)
