"""Everything that leaves Orbit: address rules, the HTTP client, signatures, sealed secrets."""
