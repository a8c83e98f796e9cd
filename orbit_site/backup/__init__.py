"""Backup and restore: an installation in one file, made while Orbit runs."""
