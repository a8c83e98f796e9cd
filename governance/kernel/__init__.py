"""Small terms that every app builds on. It imports no model."""
