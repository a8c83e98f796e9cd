"""Users, tokens and their permissions."""
