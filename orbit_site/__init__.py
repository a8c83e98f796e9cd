"""The site: settings, addresses and processes. It wires, it decides nothing."""

__version__ = "0.1.0"
