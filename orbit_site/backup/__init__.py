"""Backup and restore: a whole installation in one file, taken while it works."""
