"""Running finished cycles again."""
