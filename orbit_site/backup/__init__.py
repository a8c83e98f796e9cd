"""Back up an installation to one file, and restore it."""
