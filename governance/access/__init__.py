"""Who may: roles, scopes, namespaces, tokens."""
