"""The console: one admin site."""
