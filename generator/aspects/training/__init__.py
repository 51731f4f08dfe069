"""The block `training`: runs by hand, by the clock and by drift."""
