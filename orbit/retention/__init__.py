"""Retention: what finished long ago is deleted, except what is still referred to."""
