"""Namespaces: create, halt, drain, pause."""
