"""The report: one HTML page that needs nothing else, from records to what a person reads."""
