"""Normal approximations of likelihoods before sampling: they set the sampler's coordinates.

Penalised quasi-likelihood (Breslow & Clayton 1993): numerics that are neither tables nor models.
"""
