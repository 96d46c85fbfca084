"""What results of planning have in common, for a report of the trial that was planned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class AbstractCharacteristics(ABC):
    """Operating characteristics of a design, whatever way they were found."""

    @property
    @abstractmethod
    def planned(self) -> dict[str, Any]:
        """Outcomes, arms, rule label and threshold that were planned, by these names."""

    @property
    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Parts of a report's section, by heading; see `pymc_mlm.reporting.document`."""
