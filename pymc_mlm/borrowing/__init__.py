"""Priors of a trial's control from historical controls: power prior and robust MAP."""

from pymc_mlm.borrowing.historical import HistoricalControls, read_controls
from pymc_mlm.borrowing.map_prior import robust_map
from pymc_mlm.borrowing.power_prior import power_prior
from pymc_mlm.priors.control_prior import ControlPrior

__all__ = ["ControlPrior", "HistoricalControls", "power_prior", "read_controls", "robust_map"]
