"""Where requests leave Orbit: the address rules, the one HTTP client, signatures and sealing."""
