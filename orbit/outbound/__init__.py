"""What leaves Orbit: address rules, HTTP client, signatures, sealed secrets."""
