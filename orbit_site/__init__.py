"""The site: settings, addresses and processes."""

__version__ = "0.1.0"
