"""Plots as inline SVG: their layout; templates draw them."""
