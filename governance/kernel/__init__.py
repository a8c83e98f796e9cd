"""Terms that every app builds on. Imports no model."""
