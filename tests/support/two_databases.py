"""Runs tests with a second database for telemetry: ``pytest -p tests.support.two_databases``."""

import os

# Only that it is there counts: the fixtures name the databases.
os.environ["ORBIT_TELEMETRY_DATABASE_URL"] = "postgresql:///orbit_test_telemetry"
