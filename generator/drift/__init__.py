"""The drift check that a CronJob runs in the cluster: `python -m generator.drift`.

It needs the extra `drift` (Evidently, pandas), which rendering never does: both are imported when
a check runs.
"""
