"""Errors and warnings that a user of the package can meet: what is wrong and what to do."""

import warnings
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)


class MlmError(ValueError):
    """Base of the errors that the package raises on purpose."""


class DataError(MlmError):
    """A table does not fit the model: names the column, the value and the remedy."""


class MembershipRowError(DataError):
    """A weight cannot be computed in a row of memberships.

    `row` is its place among rows sorted by group; the term adds group and member to the text.
    """

    def __init__(self, text: str, row: int) -> None:
        super().__init__(text)
        self.row = row


class SpecificationError(MlmError):
    """A model, term, weight or prior is written wrongly: names the argument and the remedy."""


class NotFittedError(MlmError, AttributeError):
    """A result was asked for before ``fit``."""


class DataWarning(UserWarning):
    """Little information about what is asked: names the data, the question and the remedy."""


def warn_of_data(text: str) -> None:
    """Warn the user, at the line that called the package."""
    warn_user(text, DataWarning)


def warn_user(text: str, category: type[Warning], through: Sequence[str] = ()) -> None:
    """Warn at the line of the user's that called the package, however deep the cause lies.

    Folders of libraries that called back are skipped as the package's own are.
    """
    warnings.warn(text, category, skip_file_prefixes=(_PACKAGE, *through))
