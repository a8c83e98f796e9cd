"""Reconciliation: compare the projection of tasks with the authority, and repair it."""
