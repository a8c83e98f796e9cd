"""Search: find any object by an id, a hash, a key or an error's text."""
