"""The electricity that the service runs on: its carbon and water, and who says so."""
