"""Who may, who stopped, who did: namespaces, audit trail, roles and tokens. It knows no cycle."""
