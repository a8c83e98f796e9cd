"""Statistics of counts and ranks, as pure functions. docs/advice.md says why these."""
