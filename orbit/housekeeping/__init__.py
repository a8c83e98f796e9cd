"""Housekeeping: periodic work of the cluster, as operation runs."""
