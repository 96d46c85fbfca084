"""Errors that a user of the package can meet; every text says what is wrong and what to do."""


class MlmError(ValueError):
    """Base of the errors that the package raises on purpose."""


class DataError(MlmError):
    """A table does not fit the model: names the column, the value and the remedy."""


class SpecificationError(MlmError):
    """A model, term, weight or prior is written wrongly: names the argument and the remedy."""


class NotFittedError(MlmError, AttributeError):
    """A result was asked for before ``fit``."""
