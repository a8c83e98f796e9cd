"""Namespaces: their births, and whether work may go on in them."""
