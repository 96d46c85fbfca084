"""Reports: functions of a `Fit`."""
